"""The likely cause of a handshake that ended at the published address. Pure."""

from __future__ import annotations

from stackctl.handshake.cause import LOOK, PUBLISHED, UP, UP_AGAIN, Cause, Record, examined, seen
from stackctl.handshake.cause_replica import of_replica
from stackctl.observe.haproxy import servers
from stackctl.observe.model import Snapshot


def of_published(snapshot: Snapshot, record: Record) -> Cause:
    """What is likely wrong where a handshake through the published address failed."""
    record = examined(snapshot, record)
    failure = record["failure"]
    if failure["hop"] == "connect":
        return Cause(
            "unreachable",
            f"HAProxy cannot be reached at the published address: {failure['detail']}",
            "see that `listen` is an address of this host and that HAProxy runs: `stackctl status`",
        )
    rows = servers(snapshot)
    down = [name for name, row in rows.items() if not row.get("status", "").startswith(UP)]
    if rows and len(down) == len(rows):
        states = ", ".join(f"{name} {rows[name].get('status')}" for name in down)
        return Cause("no-replica", f"HAProxy has no replica for clients: {states}", LOOK)
    server = served_by(snapshot, record)
    other = record.get("with_header")
    if other and not other.get("failure"):
        return Cause(
            "proxy-missing",
            f"{server or 'the replica'} answers when the client itself sends a PROXY header: "
            "HAProxy sends none, and the replica waits for one",
            f"give its line in haproxy.cfg send-proxy-v2: {UP_AGAIN}",
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
    """What is wrong at the replica itself, where handshakes of this mode fail as well.

    The same user's counts; another's where there was no time for it.
    """
    places = {server} if server else set(servers(snapshot))
    there = [
        one
        for one in snapshot.handshakes.get("records", ())
        if one["place"] in places and one["mode"] == record["mode"] and not one.get("error")
    ]
    own = [one for one in there if one["user"] == record["user"]]
    for one in own or there:
        if one.get("failure"):
            cause = of_replica(snapshot, one)
            return Cause(cause.word, f"through {one['place']}: {cause.because}", cause.remedy)
    return None


def _at_haproxy(snapshot: Snapshot, record: Record, server: str) -> Cause:
    behind = f"{server} itself answers" if server else "replicas themselves answer"
    return Cause(
        "haproxy",
        f"{behind}, but not through HAProxy: {seen(record)}",
        "see haproxy.cfg for what refuses clients (per_address.connections and per_address.rate "
        "are there), and `docker logs` of HAProxy",
    )
