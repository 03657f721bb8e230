"""Why a handshake with the stack failed, from the evidence of the same run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stackctl.collector.answer import Ended, HandshakeRecord, Reading, Unread
from stackctl.handshake.cause import LOOK, Cause
from stackctl.limits import Value
from stackctl.observe.configfile import toml_value
from stackctl.observe.haproxy import servers
from stackctl.observe.observed import ParseError
from stackctl.observe.snapshot import Snapshot
from stackctl.observe.telemt import READY, answers, parse_ready

PUBLISHED = "published"
"""The place that is not a replica: the address that clients reach."""

UP = ("UP", "no check")
"""How the status of a server begins to which HAProxy sends clients."""

UP_AGAIN = (
    "`stackctl up` renders the files again and recreates containers whose files change; where "
    "none changes, `docker restart` the container"
)

_OF_USER = "telemt_user_"
_UPSTREAM = "upstream"
"""Part of Telemt's word for "no data centre is reachable": `no_healthy_upstreams`."""

_STRANGER = frozenset({"not-mtproto", "bad-answer"})
"""Causes of handshakes that something other than a data centre answered."""


def ended_of(record: HandshakeRecord) -> Ended:
    """Where a handshake that failed ended."""
    assert record.tried.ended is not None, "only a handshake that failed has a cause"
    return record.tried.ended


def examined(snapshot: Snapshot, record: HandshakeRecord) -> HandshakeRecord:
    """The record with what the collector found out about the first one that ended in the same way.

    The collector examines one failure for each place and mode, whoever the user is.
    """
    if _looked_into(record):
        return record
    for one in snapshot.handshakes.records:
        alike = (one.place, one.mode) == (record.place, record.mode) and one.tried.ended
        if alike and alike.hop == ended_of(record).hop and _looked_into(one):
            return replace(
                record,
                counted=Reading(_of_all(counted_in(one))),
                without_header=one.without_header,
                with_header=one.with_header,
            )
    return record


def _looked_into(record: HandshakeRecord) -> bool:
    found_out = (record.counted, record.without_header, record.with_header)
    return any(found is not None for found in found_out)


def _of_all(counted: Mapping[str, float]) -> dict[str, float]:
    """The counters that are not about one user."""
    return {name: value for name, value in counted.items() if not name.startswith(_OF_USER)}


def counted_in(record: HandshakeRecord) -> dict[str, float]:
    """What the replica counted during the second try, by series; empty where it was not read."""
    return (record.counted.value or {}) if record.counted else {}


def grown(record: HandshakeRecord) -> list[str]:
    """The counters that grew, as `SERIES NUMBER`, without those about one user."""
    return [f"{name} {value:g}" for name, value in _of_all(counted_in(record)).items()]


def seen(record: HandshakeRecord) -> str:
    """What was seen where it ended, in words."""
    ended = ended_of(record)
    counted = grown(record)
    also = "; the replica counted: " + ", ".join(counted) if counted else ""
    return f"{ended.hop}: {ended.cause}: {ended.detail}{also}"


def of_published(snapshot: Snapshot, record: HandshakeRecord) -> Cause:
    """What is likely wrong where a handshake through the published address failed."""
    record = examined(snapshot, record)
    ended = ended_of(record)
    if ended.hop == "connect":
        return Cause(
            "unreachable",
            f"HAProxy cannot be reached at the published address: {ended.detail}",
            "check that `listen` is an address of this host and that HAProxy runs (`stackctl "
            "status`)",
        )
    rows = servers(snapshot)
    down = [name for name, row in rows.items() if not row.get("status", "").startswith(UP)]
    if rows and len(down) == len(rows):
        states = ", ".join(f"{name} {rows[name].get('status')}" for name in down)
        return Cause("no-replica", f"HAProxy has no replica that is up: {states}", LOOK)
    server = served_by(snapshot, record)
    other = record.with_header
    if other and not other.ended:
        return Cause(
            "proxy-missing",
            f"{server or 'the replica'} answers when the client itself sends a PROXY header: "
            "HAProxy sends none, and the replica expects one",
            f"add send-proxy-v2 to its server line in haproxy.cfg: {UP_AGAIN}",
        )
    return _behind(snapshot, record, server) or _at_haproxy(snapshot, record, server)


def served_by(snapshot: Snapshot, record: HandshakeRecord) -> str:
    """The replica that HAProxy gave this client to, or another client of the same address."""
    if record.server:
        return record.server
    own = record.tried.local.rpartition(":")[0]
    for client in snapshot.answer.clients.value or ():
        same = client.local.rpartition(":")[0] == own
        if same and client.via == PUBLISHED and client.server:
            return client.server
    return ""


def _behind(snapshot: Snapshot, record: HandshakeRecord, server: str) -> Cause | None:
    """What is wrong at the replica itself, where handshakes of this mode fail, too.

    The same user's handshake is used, or another user's where there was no time for that one.
    """
    places = {server} if server else set(servers(snapshot))
    there = [
        one
        for one in snapshot.handshakes.records
        if one.place in places and one.mode == record.mode and not one.error
    ]
    own = [one for one in there if one.user == record.user]
    for one in own or there:
        if one.tried.ended:
            cause = of_replica(snapshot, one)
            return Cause(cause.word, f"through {one.place}: {cause.because}", cause.remedy)
    return None


def _at_haproxy(snapshot: Snapshot, record: HandshakeRecord, server: str) -> Cause:
    behind = f"{server} itself answers" if server else "replicas themselves answer"
    return Cause(
        "haproxy",
        f"{behind}, but not through HAProxy: {seen(record)}",
        "see which rule of haproxy.cfg refuses clients (per_address.connections and "
        "per_address.rate are among them), and HAProxy's `docker logs`",
    )


def left_out(snapshot: Snapshot, name: str) -> Cause | None:
    """A cause where HAProxy sends no clients to a replica that answers."""
    status = servers(snapshot).get(name, {}).get("status", "UP")
    if status.startswith(UP):
        return None
    word = status.split()[0].lower()
    told = f"send 'set server telemt/{name} state ready' to HAProxy's admin socket"
    remedy = f"to give it clients again, {told}" if word in {"drain", "maint"} else LOOK
    return Cause(word, f"HAProxy sends {name} no client: {status}", remedy)


def of_replica(snapshot: Snapshot, record: HandshakeRecord) -> Cause:
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
    return Cause("unknown", seen(record), f"see the `docker logs` of {record.place}")


def _unreachable(snapshot: Snapshot, record: HandshakeRecord) -> Cause | None:
    ended, name = ended_of(record), record.place
    if ended.hop != "connect":
        return None
    detail = ended.detail
    if detail.startswith("EAGAIN"):
        remedy = "raise its backlog (net.core.somaxconn), or add replicas"
        return Cause("queue-full", f"{name}'s accept queue is full: {detail}", remedy)
    if detail.startswith(("ECONNREFUSED", "ENOENT")):
        return Cause("down", f"nothing listens at {name}: {detail}", LOOK)
    return Cause("unreachable", f"{name} cannot be reached: {detail}", LOOK)


def _header_unwanted(snapshot: Snapshot, record: HandshakeRecord) -> Cause | None:
    bare = record.without_header
    if not bare or bare.ended:
        return None
    name = record.place
    return Cause(
        "proxy-unread",
        f"{name} answers without a PROXY header, but not with one: HAProxy sends the header, and "
        f"{name} does not read it",
        f"set server.proxy_protocol = true in telemt.toml of {name}: {UP_AGAIN}",
    )


def _header_refused(snapshot: Snapshot, record: HandshakeRecord) -> Cause | None:
    refused = [name for name in counted_in(record) if '"proxy_protocol_' in name]
    if not refused:
        return None
    untrusted = any("untrusted" in name for name in refused)
    why = "does not trust HAProxy's address" if untrusted else "cannot read HAProxy's header"
    return Cause(
        "proxy-refused",
        f"{record.place} {why}: {refused[0]} grew",
        f"see server.proxy_protocol_trusted_cidrs in its telemt.toml: {UP_AGAIN}",
    )


def _config(snapshot: Snapshot, name: str, key: str) -> Value | None:
    """A key of a replica's running telemt.toml; None where it cannot be read."""
    try:
        return toml_value(snapshot.target(name).config.text.get("telemt.toml"), key)
    except (Unread, ParseError):
        return None


def _mode_off(snapshot: Snapshot, record: HandshakeRecord) -> Cause | None:
    key = f"general.modes.{record.mode}"
    if _config(snapshot, record.place, key) not in (False, 0):
        return None
    return Cause(
        "mode-off",
        f"{record.place}'s telemt.toml has {key} = false",
        f"allow the mode in stack.yaml (telemt.modes) or use another link; {UP_AGAIN}",
    )


def _secret(snapshot: Snapshot, record: HandshakeRecord) -> Cause | None:
    name, user = record.place, record.user
    users = snapshot.handshakes.users.get(name, Reading())
    compared = (users.value or {}).get(user, "same")
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


def _domain(snapshot: Snapshot, record: HandshakeRecord) -> Cause | None:
    asked = snapshot.request.handshakes
    wanted = asked.domain if asked else ""
    running = _config(snapshot, record.place, "censorship.tls_domain")
    if record.mode != "tls" or running is None or running == wanted:
        return None
    return Cause(
        "domain",
        f"{record.place} runs with tls_domain {running}, and links have {wanted}",
        f"{UP_AGAIN}; telemt.domain in stack.yaml decides, and every link contains it",
    )


def _unready(snapshot: Snapshot, name: str) -> str:
    """Telemt's reason for not being ready; "" where it is ready or cannot be asked."""
    try:
        answer = answers(snapshot, name).ready.get("/v1/health/ready")
        word, reason = parse_ready(answer.status, answer.body)
    except (Unread, ParseError):
        return ""
    return "" if word == READY else reason or "it gives no reason"


def _closed_gate(snapshot: Snapshot, record: HandshakeRecord) -> Cause | None:
    name = record.place
    reason = _unready(snapshot, name)
    if not reason or _UPSTREAM in reason:
        return None
    return Cause(
        "not-ready",
        f"{name} accepts no client: not ready ({reason})",
        f"see what it waits for in the `docker logs` of {name}",
    )


def _limit(snapshot: Snapshot, record: HandshakeRecord) -> Cause | None:
    name, user = record.place, record.user
    gauges = {key.partition("{")[0]: value for key, value in counted_in(record).items()}
    connections = gauges.get("telemt_user_connections_current", 0.0)
    most = record.most
    if most is not None and 0 < most <= connections:
        return Cause(
            "limit",
            f"{user} has {connections:g} connections at {name}; the limit is {most}",
            "raise per_user.connections in stack.yaml, or wait until some end",
        )
    addresses = gauges.get("telemt_user_unique_ips_current", 0.0)
    limit = gauges.get("telemt_user_unique_ips_limit", 0.0)
    if 0 < limit <= addresses:
        return Cause(
            "limit",
            f"{user} is connected to {name} from {addresses:g} addresses; the limit is {limit:g}",
            "raise per_user.addresses in stack.yaml, or wait until some disconnect",
        )
    return None


def _data_centre(snapshot: Snapshot, record: HandshakeRecord) -> Cause | None:
    """The replica knew the client and connected to a data centre, which did not answer."""
    tried = [line for line in grown(record) if line.startswith("telemt_upstream_connect_")]
    verified = _verified(record)
    reason = _unready(snapshot, record.place)
    lacks = reason if _UPSTREAM in reason else ""
    other = "" if tried or verified or lacks else _told_by_fake_tls(snapshot, record)
    ended = ended_of(record)
    if ended.hop != "answer" or not (tried or verified or lacks or other):
        return None
    failed = [line for line in tried if "_attempt_" not in line]
    counted = f"; it counted: {', '.join(failed or tried)}" if tried else ""
    counted += f"; not ready: {lacks}" if lacks else ""
    counted += f"; {other}" if other else ""
    known = "its fake-TLS flight is verified" if verified else "it knew the client"
    known = "it sent nothing" if other and ended.cause == "timeout" else known
    silent = ended.cause in {"timeout", "closed", "reset"}
    came = "no answer came through it" if silent else f"the answer was: {ended.detail}"
    return Cause(
        "data-centre",
        f"{record.place} reaches no data centre: {known}, and {came}{counted}",
        "check that the replica can reach Telegram's data centres (with `telemt.datacentre: lab`, "
        "the stack's own, which must run), and see its `docker logs`",
    )


def _told_by_fake_tls(snapshot: Snapshot, record: HandshakeRecord) -> str:
    """Evidence that a client in mode tls, whom the replica knew, got no answer there either.

    Telemt counts a connection to a data centre that does not answer only when it ends, which may be
    later than we waited. It counts nothing where something else answers. To a client in mode secure
    that may be the fallback site, so then the same user must be known.
    """
    cause = ended_of(record).cause
    if cause != "timeout" and cause not in _STRANGER:
        return ""
    for one in snapshot.handshakes.records:
        if one.place != record.place or not one.tried.ended or not _verified(one):
            continue
        if cause == "timeout":
            return f"{one.user} in mode tls was known there, and got no answer either"
        if one.user == record.user:
            return f"{one.user} in mode tls was known there, and reached no data centre either"
    return ""


def _verified(record: HandshakeRecord) -> bool:
    """Whether the replica's fake-TLS flight was verified, which shows that it knew the client."""
    return any(step.hop == "tls" for step in record.tried.steps)
