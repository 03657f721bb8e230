"""The likely cause of a handshake that ended at a replica, from evidence of the same run. Pure."""

from __future__ import annotations

from typing import Any

from stackctl.handshake.cause import (
    LOOK,
    UP,
    UP_AGAIN,
    Cause,
    Record,
    counted_in,
    examined,
    grown,
    seen,
)
from stackctl.observe.configfile import toml_value
from stackctl.observe.haproxy import servers
from stackctl.observe.limitfile import ParseError
from stackctl.observe.model import Snapshot, Unread, text_of
from stackctl.observe.replica import READY, parse_ready

_UPSTREAM = "upstream"
"""In Telemt's words for being without a data centre: `no_healthy_upstreams`."""

_STRANGER = frozenset({"not-mtproto", "bad-answer"})
"""Causes of a handshake that something else has answered: before the replica, or behind it."""


def left_out(snapshot: Snapshot, name: str) -> Cause | None:
    """A replica that answers, and that HAProxy gives no client."""
    status = servers(snapshot).get(name, {}).get("status", "UP")
    if status.startswith(UP):
        return None
    word = status.split()[0].lower()
    told = f"echo 'set server telemt/{name} state ready' on HAProxy's admin socket"
    remedy = f"let it take clients again: {told}" if word in {"drain", "maint"} else LOOK
    return Cause(word, f"HAProxy gives {name} no client: {status}", remedy)


def of_replica(snapshot: Snapshot, record: Record) -> Cause:
    """What is likely wrong where a handshake with this replica failed."""
    record = examined(snapshot, record)
    for judge in (
        _unreachable,
        _header_unwanted,
        _header_refused,
        _mode_off,
        _secret,
        _domain,
        _closed_gate,
        _limit,
        _data_centre,
    ):
        if found := judge(snapshot, record):
            return found
    return Cause("unknown", seen(record), f"see what it says: `docker logs` of {record['place']}")


def _unreachable(snapshot: Snapshot, record: Record) -> Cause | None:
    failure, name = record["failure"], record["place"]
    if failure["hop"] != "connect":
        return None
    detail = str(failure["detail"])
    if detail.startswith("EAGAIN"):
        remedy = "give it a longer listen queue (net.core.somaxconn), or more replicas"
        return Cause("queue-full", f"{name}'s listen queue is full: {detail}", remedy)
    if detail.startswith(("ECONNREFUSED", "ENOENT")):
        return Cause("down", f"nothing listens at {name}: {detail}", LOOK)
    return Cause("unreachable", f"{name} cannot be reached: {detail}", LOOK)


def _header_unwanted(snapshot: Snapshot, record: Record) -> Cause | None:
    bare = record.get("without_header")
    if not bare or bare.get("failure"):
        return None
    name = record["place"]
    return Cause(
        "proxy-unread",
        f"{name} answers without a PROXY header and not with one: HAProxy sends it, and {name} "
        "does not read it",
        f"set server.proxy_protocol = true in telemt.toml of {name}: {UP_AGAIN}",
    )


def _header_refused(snapshot: Snapshot, record: Record) -> Cause | None:
    refused = [name for name in counted_in(record) if '"proxy_protocol_' in name]
    if not refused:
        return None
    untrusted = any("untrusted" in name for name in refused)
    why = "does not trust HAProxy's address" if untrusted else "cannot read HAProxy's header"
    return Cause(
        "proxy-refused",
        f"{record['place']} {why}: {refused[0]} grew",
        f"see server.proxy_protocol_trusted_cidrs in its telemt.toml: {UP_AGAIN}",
    )


def _config(snapshot: Snapshot, name: str, key: str) -> Any:
    """A key of a replica's running telemt.toml; None where it cannot be had."""
    try:
        config = snapshot.target(name)["config"]
        return toml_value(text_of(config, "telemt.toml"), key)
    except (Unread, ParseError, KeyError):
        return None


def _mode_off(snapshot: Snapshot, record: Record) -> Cause | None:
    key = f"general.modes.{record['mode']}"
    if _config(snapshot, record["place"], key) not in (False, 0):
        return None
    return Cause(
        "mode-off",
        f"{record['place']}'s telemt.toml says {key} = false",
        f"allow the mode in stack.yaml (telemt.modes) or use another link; {UP_AGAIN}",
    )


def _secret(snapshot: Snapshot, record: Record) -> Cause | None:
    name, user = record["place"], record["user"]
    compared = (snapshot.handshakes.get("users") or {}).get(name, {}).get(user, "same")
    if compared == "same":
        return None
    what = {"other": f"another secret for {user}", "none": f"no user {user}"}[compared]
    return Cause(
        "wrong-secret",
        f"{name} runs with {what} "
        + ("than" if compared == "other" else "of")
        + " the secrets file",
        f"{UP_AGAIN}; the secrets file decides",
    )


def _domain(snapshot: Snapshot, record: Record) -> Cause | None:
    wanted = snapshot.request["handshakes"]["domain"]
    running = _config(snapshot, record["place"], "censorship.tls_domain")
    if record["mode"] != "tls" or running is None or running == wanted:
        return None
    return Cause(
        "domain",
        f"{record['place']} runs with tls_domain {running}, and links say {wanted}",
        f"{UP_AGAIN}; telemt.domain in stack.yaml decides, and is part of every link",
    )


def _unready(snapshot: Snapshot, name: str) -> str:
    """Why Telemt says that it is not ready; "" where it is, or cannot be asked."""
    try:
        answer = snapshot.target(name)["api"]["/v1/health/ready"]
        word, reason = parse_ready(int(answer["status"]), answer["body"])
    except (Unread, ParseError, KeyError):
        return ""
    return "" if word == READY else reason or "it gives no reason"


def _closed_gate(snapshot: Snapshot, record: Record) -> Cause | None:
    name = record["place"]
    reason = _unready(snapshot, name)
    if not reason or _UPSTREAM in reason:
        return None
    return Cause(
        "not-ready",
        f"{name} takes no client: not ready ({reason})",
        f"see what it waits for: `docker logs` of {name}",
    )


def _limit(snapshot: Snapshot, record: Record) -> Cause | None:
    name, user = record["place"], record["user"]
    gauges = {key.partition("{")[0]: value for key, value in counted_in(record).items()}
    connections = gauges.get("telemt_user_connections_current", 0.0)
    most = record.get("most")
    if isinstance(most, int) and 0 < most <= connections:
        return Cause(
            "limit",
            f"{user} has {connections:g} connections at {name}, and may have {most}",
            "raise per_user.connections in stack.yaml, or wait until some end",
        )
    addresses = gauges.get("telemt_user_unique_ips_current", 0.0)
    limit = gauges.get("telemt_user_unique_ips_limit", 0.0)
    if 0 < limit <= addresses:
        return Cause(
            "limit",
            f"{user} is at {name} from {addresses:g} addresses, and may be from {limit:g}",
            "raise per_user.addresses in stack.yaml, or wait until some leave",
        )
    return None


def _data_centre(snapshot: Snapshot, record: Record) -> Cause | None:
    """The replica knew the client and went on to a data centre, which did not answer."""
    tried = [line for line in grown(record) if line.startswith("telemt_upstream_connect_")]
    verified = any(step["hop"] == "tls" for step in record["steps"])
    reason = _unready(snapshot, record["place"])
    lacks = reason if _UPSTREAM in reason else ""
    other = "" if tried or verified or lacks else _told_by_fake_tls(snapshot, record)
    if record["failure"]["hop"] != "answer" or not (tried or verified or lacks or other):
        return None
    failed = [line for line in tried if "_attempt_" not in line]
    counted = f"; counted meanwhile: {', '.join(failed or tried)}" if tried else ""
    counted += f"; not ready: {lacks}" if lacks else ""
    counted += f"; {other}" if other else ""
    known = "its flight is verified" if verified else "it knew the client"
    failure = record["failure"]
    known = "it says nothing" if other and failure["cause"] == "timeout" else known
    silent = failure["cause"] in {"timeout", "closed", "reset"}
    came = "nothing came from behind it" if silent else f"from behind it: {failure['detail']}"
    return Cause(
        "data-centre",
        f"{record['place']} reaches no data centre: {known}, and {came}{counted}",
        "see that the replica has a way out (to Telegram's data centres, or with "
        "`telemt.datacentre: lab` to the stack's own, which must run) and what `docker logs` of it "
        "says",
    )


def _told_by_fake_tls(snapshot: Snapshot, record: Record) -> str:
    """Whether a client in mode tls, which sees itself known, gets no answer there either.

    Telemt counts a way out that does not answer at its end only, which may be later than this one
    was waited for. And it counts nothing where a stranger answers: to a client in mode secure that
    may as well be the site that the replica passes strangers on to, so the same user must be known.
    """
    cause = record["failure"]["cause"]
    if cause != "timeout" and cause not in _STRANGER:
        return ""
    for one in snapshot.handshakes.get("records", ()):
        verified = any(step["hop"] == "tls" for step in one["steps"])
        if one["place"] != record["place"] or not one.get("failure") or not verified:
            continue
        if cause == "timeout":
            return f"{one['user']} in mode tls was known there, and waited in vain too"
        if one["user"] == record["user"]:
            return f"{one['user']} in mode tls was known there, and heard no data centre either"
    return ""
