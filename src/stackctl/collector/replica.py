"""Handshakes with one replica, over the link that HAProxy has to it."""

from __future__ import annotations

import socket
import time
from typing import Any, NamedTuple

from stackctl.collector import api, counters, netns, procs
from stackctl.collector.reading import failure
from stackctl.collector.round import RETRY, Round, came_to, named
from stackctl.collector.trial import Address, Trial, Way

_SHOWN = 0.5
_POLL = 0.05
_INSTEAD = 3


class Place(NamedTuple):
    """A replica.

    Attributes:
        pid: the live process.
        way: how HAProxy reaches it.
        api: where its API answers, in its own network namespace.
        metrics: where its metrics page is, likewise.
        secrets: path, in its root, of the file with what its API wants to be shown.
        running: the users it has.
    """

    pid: int
    way: Way
    api: Address
    metrics: Address
    secrets: str
    running: counters.Running


def place(this: Round, target: dict[str, Any], pid: int, worker: int) -> Place:
    """Where a replica is.

    Args:
        this: the round.
        target: the request's target.
        pid: the live process of the replica.
        worker: HAProxy's live worker.

    Raises:
        OSError: HAProxy's root cannot be looked into.
    """
    link = this.asked["links"][target["name"]]
    if "unix" in link:
        # Below HAProxy's own root: the very socket that HAProxy connects to.
        way = Way(lambda: socket.socket(socket.AF_UNIX), procs.inside(worker, link["unix"]))
    else:
        # From HAProxy's namespace: its address alone may name clients.
        way = Way(lambda: netns.inside(worker, socket.socket), address(link["tcp"]))
    running = counters.Running(pid, target["config"], this.asked["users"])
    pages = address(target["api"]), address(target["metrics"])
    return Place(pid, way, *pages, target["users"], running)


def run(this: Round, name: str, where: Place | str) -> None:
    """Every user and mode, one after the other: a user with a limit is there once at a time.

    Args:
        this: the round.
        name: the replica's.
        where: the replica, or why it cannot be reached at all.
    """
    patience, examined = this.patience(), set[str]()
    for user in this.asked["users"]:
        for mode in this.asked["modes"]:
            if isinstance(where, str):
                this.note(name, user, mode, {"steps": [], "error": where})
                continue
            if this.over(name, user, mode):
                continue
            trial = this.attempt(_with_header(this, where, user), user, mode, patience.seconds)
            if trial.answered and this.asked["arrivals"]:
                trial.record["arrived"] = arrived(this, where, user, trial.record["client"])
            trial.close()
            patience.after(trial.record)
            if not trial.answered and mode not in examined:
                examined.add(mode)
                _examine(this, trial, where, user, mode)
            this.note(name, user, mode, trial.record)


def arrived(this: Round, where: Place, user: str, own: str) -> dict[str, Any]:
    """Whether the replica names our address among those from which the user is connected now.

    Args:
        this: the round.
        where: the replica.
        user: whose handshake it is.
        own: address:port of the client, whose connection is open.
    """
    ip = own.rpartition(":")[0]

    def ask() -> list[str]:
        answer = api.get(where.api, counters.ACTIVE, this.deadline, counters.MOST, shown)
        status, body = api.parse(answer)
        if status != 200:
            raise ValueError(f"GET {counters.ACTIVE}: status {status}")
        return counters.active(body, user)

    end = time.monotonic() + _SHOWN
    try:
        shown = api.authorization(where.pid, where.secrets)
        while ip not in (seen := netns.inside(where.pid, ask)):
            if time.monotonic() > end:
                return {"value": 0, "instead": seen[:_INSTEAD]}
            time.sleep(_POLL)
    except (OSError, ValueError) as problem:
        return failure(problem)
    return {"value": 1}


def _with_header(this: Round, where: Place, user: str) -> Way:
    return where.way._replace(named=(named(user), came_to(this.asked["published"])))


def _examine(this: Round, trial: Trial, where: Place, user: str, mode: str) -> None:
    """The same once more while the replica's counters are watched, and once without a header."""

    def counted() -> dict[str, float]:
        return counters.metrics(where.metrics, user, this.deadline)

    try:
        before = netns.inside(where.pid, counted)
        again = this.attempt(_with_header(this, where, user), user, mode, RETRY)
        again.close()
        trial.record["again"] = again.record
        trial.record["counted"] = counters.grown(before, netns.inside(where.pid, counted))
    except (OSError, ValueError) as problem:
        trial.record["counted"] = failure(problem)
    if user in where.running.most:
        trial.record["most"] = where.running.most[user]
    bare = this.attempt(where.way, user, mode, RETRY)
    bare.close()
    trial.record["without_header"] = bare.record


def address(pair: Any) -> Address:
    """`[host, port]` of the request."""
    return str(pair[0]), int(pair[1])
