"""Why a handshake ended where it did: the likely cause, from evidence of the same run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackctl.observe.configfile import toml_value
from stackctl.observe.haproxy import servers
from stackctl.observe.limitfile import ParseError
from stackctl.observe.model import Snapshot, Unread, text_of
from stackctl.observe.replica import READY, parse_ready

PUBLISHED = "published"

_UP = ("UP", "no check")
_UPSTREAM = "upstream"
"""In Telemt's words for being without a data centre: `no_healthy_upstreams`."""

_FOUND_OUT = ("counted", "without_header", "with_header")
_OF_USER = "telemt_user_"

_UP_AGAIN = "`stackctl up` renders the files again and starts what they changed"
_LOOK = "see `stackctl status` and `docker logs` of it"


@dataclass(frozen=True, slots=True)
class Cause:
    """What is likely wrong.

    Attributes:
        word: a stable word for machines.
        because: the evidence, as a sentence.
        remedy: what to do next.
    """

    word: str
    because: str
    remedy: str


Record = Mapping[str, Any]


def cause_of(snapshot: Snapshot, record: Record) -> Cause | None:
    """The likely cause of one record of the probe; None where nothing is wrong."""
    if record.get("error"):
        return Cause("not-tried", str(record["error"]), "run the command again; " + _LOOK)
    if record["place"] == PUBLISHED:
        return _of_published(snapshot, record) if record.get("failure") else None
    if not record.get("failure"):
        return _left_out(snapshot, str(record["place"]))
    return _of_replica(snapshot, record)


def _examined(snapshot: Snapshot, record: Record) -> Record:
    """The record with what was found out about the first that ended there in the same way.

    The probe looks closer once for each place and mode, whoever the user is.
    """
    if any(key in record for key in _FOUND_OUT):
        return record
    for one in snapshot.handshakes.get("records", ()):
        alike = all(one[key] == record[key] for key in ("place", "mode")) and one.get("failure")
        if alike and one["failure"]["hop"] == record["failure"]["hop"]:
            found = {key: one[key] for key in _FOUND_OUT if key in one}
            if found:
                return {**found, **record, "counted": _of_all(found.get("counted", {}))}
    return record


def _of_all(counted: Mapping[str, Any]) -> dict[str, Any]:
    """Counters that are not of one user."""
    return {name: value for name, value in counted.items() if not name.startswith(_OF_USER)}


# -- a replica -----------------------------------------------------------------------------------


def _left_out(snapshot: Snapshot, name: str) -> Cause | None:
    """A replica that answers, and that HAProxy gives no client."""
    status = servers(snapshot).get(name, {}).get("status", "UP")
    if status.startswith(_UP):
        return None
    word = status.split()[0].lower()
    told = f"echo 'set server telemt/{name} state ready' on HAProxy's admin socket"
    remedy = f"let it take clients again: {told}" if word in {"drain", "maint"} else _LOOK
    return Cause(word, f"HAProxy gives {name} no client: {status}", remedy)


def _of_replica(snapshot: Snapshot, record: Record) -> Cause:
    record = _examined(snapshot, record)
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
    return Cause("unknown", _seen(record), f"see what it says: `docker logs` of {record['place']}")


def _seen(record: Record) -> str:
    failure = record["failure"]
    counted = _grown(record)
    also = "; counted meanwhile: " + ", ".join(counted) if counted else ""
    return f"{failure['hop']}: {failure['cause']}: {failure['detail']}{also}"


def _counted(record: Record) -> dict[str, float]:
    counted = record.get("counted") or {}
    return {} if "error" in counted else {str(k): float(v) for k, v in counted.items()}


def _grown(record: Record) -> list[str]:
    return [
        f"{name} {value:g}"
        for name, value in _counted(record).items()
        if not name.startswith(_OF_USER)
    ]


def _unreachable(snapshot: Snapshot, record: Record) -> Cause | None:
    failure, name = record["failure"], record["place"]
    if failure["hop"] != "connect":
        return None
    detail = str(failure["detail"])
    if detail.startswith("EAGAIN"):
        remedy = "give it a longer listen queue (net.core.somaxconn), or more replicas"
        return Cause("queue-full", f"{name}'s listen queue is full: {detail}", remedy)
    if detail.startswith(("ECONNREFUSED", "ENOENT")):
        return Cause("down", f"nothing listens at {name}: {detail}", _LOOK)
    return Cause("unreachable", f"{name} cannot be reached: {detail}", _LOOK)


def _header_unwanted(snapshot: Snapshot, record: Record) -> Cause | None:
    bare = record.get("without_header")
    if not bare or bare.get("failure"):
        return None
    name = record["place"]
    return Cause(
        "proxy-unread",
        f"{name} answers without a PROXY header and not with one: HAProxy sends it, and {name} "
        "does not read it",
        f"set server.proxy_protocol = true in telemt.toml of {name}: {_UP_AGAIN}",
    )


def _header_refused(snapshot: Snapshot, record: Record) -> Cause | None:
    refused = [name for name in _counted(record) if '"proxy_protocol_' in name]
    if not refused:
        return None
    untrusted = any("untrusted" in name for name in refused)
    why = "does not trust HAProxy's address" if untrusted else "cannot read HAProxy's header"
    return Cause(
        "proxy-refused",
        f"{record['place']} {why}: {refused[0]} grew",
        f"see server.proxy_protocol_trusted_cidrs in its telemt.toml: {_UP_AGAIN}",
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
        f"allow the mode in stack.yaml (telemt.modes) or use another link; {_UP_AGAIN}",
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
        f"{_UP_AGAIN}; the secrets file decides",
    )


def _domain(snapshot: Snapshot, record: Record) -> Cause | None:
    wanted = snapshot.request["handshakes"]["domain"]
    running = _config(snapshot, record["place"], "censorship.tls_domain")
    if record["mode"] != "tls" or running is None or running == wanted:
        return None
    return Cause(
        "domain",
        f"{record['place']} runs with tls_domain {running}, and links say {wanted}",
        f"{_UP_AGAIN}; telemt.domain in stack.yaml decides, and is part of every link",
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
    gauges = {key.partition("{")[0]: value for key, value in _counted(record).items()}
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
    tried = [line for line in _grown(record) if line.startswith("telemt_upstream_connect_")]
    verified = any(step["hop"] == "tls" for step in record["steps"])
    reason = _unready(snapshot, record["place"])
    lacks = reason if _UPSTREAM in reason else ""
    if record["failure"]["hop"] != "answer" or not (tried or verified or lacks):
        return None
    failed = [line for line in tried if "_attempt_" not in line]
    counted = f"; counted meanwhile: {', '.join(failed or tried)}" if tried else ""
    counted += f"; not ready: {lacks}" if lacks else ""
    known = "its flight is verified" if verified else "it knew the client"
    failure = record["failure"]
    silent = failure["cause"] in {"timeout", "closed", "reset"}
    came = "nothing came from behind it" if silent else f"from behind it: {failure['detail']}"
    return Cause(
        "data-centre",
        f"{record['place']} reaches no data centre: {known}, and {came}{counted}",
        "see that the replica has a way out (to Telegram's data centres, or to the stack's own "
        "`datacentre`, which must run) and what `docker logs` of it says",
    )


# -- the published address -------------------------------------------------------------------------


def _of_published(snapshot: Snapshot, record: Record) -> Cause:
    record = _examined(snapshot, record)
    failure = record["failure"]
    if failure["hop"] == "connect":
        return Cause(
            "unreachable",
            f"HAProxy cannot be reached at the published address: {failure['detail']}",
            "see that `listen` is an address of this host and that HAProxy runs: `stackctl status`",
        )
    rows = servers(snapshot)
    down = [name for name, row in rows.items() if not row.get("status", "").startswith(_UP)]
    if rows and len(down) == len(rows):
        states = ", ".join(f"{name} {rows[name].get('status')}" for name in down)
        return Cause("no-replica", f"HAProxy has no replica for clients: {states}", _LOOK)
    server = served_by(snapshot, record)
    other = record.get("with_header")
    if other and not other.get("failure"):
        return Cause(
            "proxy-missing",
            f"{server or 'the replica'} answers when the client itself sends a PROXY header: "
            "HAProxy sends none, and the replica waits for one",
            f"give its line in haproxy.cfg send-proxy-v2: {_UP_AGAIN}",
        )
    return _behind(snapshot, record, server) or _at_haproxy(snapshot, record, server)


def served_by(snapshot: Snapshot, record: Record) -> str:
    """The replica that HAProxy gave this client, or another of the same run and address to."""
    if record.get("server"):
        return str(record["server"])
    own = str(record.get("local", "")).rpartition(":")[0]
    for client in snapshot.clients:
        same = str(client.get("local", "")).rpartition(":")[0] == own
        if same and client.get("via") == PUBLISHED and client.get("server"):
            return str(client["server"])
    return ""


def _behind(snapshot: Snapshot, record: Record, server: str) -> Cause | None:
    """What is wrong at the replica itself, where the same handshake fails as well."""
    for one in snapshot.handshakes.get("records", ()):
        alike = (one["user"], one["mode"]) == (record["user"], record["mode"])
        if alike and one["place"] in ({server} if server else set(servers(snapshot))):
            if not one.get("failure"):
                continue
            cause = _of_replica(snapshot, one)
            return Cause(cause.word, f"through {one['place']}: {cause.because}", cause.remedy)
    return None


def _at_haproxy(snapshot: Snapshot, record: Record, server: str) -> Cause:
    behind = f"{server} itself answers" if server else "replicas themselves answer"
    return Cause(
        "haproxy",
        f"{behind}, but not through HAProxy: {_seen(record)}",
        "see haproxy.cfg for what refuses clients (per_address.connections and per_address.rate "
        "are there), and `docker logs` of HAProxy",
    )
