"""Handshakes through the address that clients reach."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from itertools import product
from typing import Any

from stackctl.collector import clients
from stackctl.collector.admin import Admin, source_of
from stackctl.collector.reading import failure
from stackctl.collector.replica import Place, address, arrived
from stackctl.collector.round import RETRY, Round, came_to, named
from stackctl.collector.trial import Trial, Way

NAME = "published"

_BATCH = 16


def run(this: Round, worker: int, haproxy: dict[str, Any], places: Mapping[str, Place]) -> None:
    """Every user and mode; a batch is held open while HAProxy is asked whom it gave them to.

    Runs in the host's network namespace.

    Args:
        this: the round.
        worker: HAProxy's live worker.
        haproxy: the request's target.
        places: the replicas there are, by name.
    """
    if not this.asked["published"]:
        return
    to = address(this.asked["published"])
    family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
    (source,) = clients.sources_for(to, 1)
    way = Way(lambda: socket.socket(family), to, None, source)
    admin = Admin(worker, haproxy["admin_socket"], this.deadline)
    patience, examined = this.patience(), set[str]()
    wanted = list(product(this.asked["modes"], this.asked["users"]))
    for at in range(0, len(wanted), _BATCH):
        kept: list[tuple[str, str, Trial]] = []
        for mode, user in wanted[at : at + _BATCH]:
            if this.over(NAME, user, mode):
                continue
            trial = this.attempt(way, user, mode, patience.seconds)
            patience.after(trial.record)
            kept.append((mode, user, trial))
        _recognise(this, admin, kept, places)
        for mode, user, trial in kept:
            trial.close()
            if not trial.answered and mode not in examined:
                examined.add(mode)
                _examine(this, trial, way, user, mode)
            this.note(NAME, user, mode, trial.record)


def _examine(this: Round, trial: Trial, way: Way, user: str, mode: str) -> None:
    """Once more with a header of our own: a replica that gets none from HAProxy takes that one."""
    header = (named(user), came_to(this.asked["published"]))
    other = this.attempt(way._replace(named=header), user, mode, RETRY)
    other.close()
    trial.record["with_header"] = other.record


def _recognise(
    this: Round, admin: Admin, kept: list[tuple[str, str, Trial]], places: Mapping[str, Place]
) -> None:
    """Which replica HAProxy gave each connection that is open, and under which address."""
    own = {
        trial.record["local"]: (user, trial) for _, user, trial in kept if "local" in trial.record
    }
    raw = {local.encode() for local in own}
    try:
        found = admin.sessions(lambda line: source_of(line) in raw, lambda _: True) if own else []
    except (OSError, ValueError) as problem:
        for _, trial in own.values():
            trial.record["session"] = failure(problem)
        return
    for session in found:
        user, trial = own[session.source.removeprefix("::ffff:")]
        trial.record |= {"seen_as": trial.record["local"], "server": session.connected}
        where = places.get(session.connected)
        if where and trial.answered and this.asked["arrivals"]:
            trial.record["arrived"] = arrived(this, where, user, trial.record["local"])
