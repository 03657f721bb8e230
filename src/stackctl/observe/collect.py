"""The edge: ask the engine which containers there are, and the probe what they look like."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from stackctl.engine import Container, Engine
from stackctl.errors import SpecError
from stackctl.observe.choice import Choice, asked
from stackctl.observe.limitfile import ParseError
from stackctl.observe.model import Snapshot
from stackctl.observe.replica import counted_clients, ip_of, logged_clients, own_address
from stackctl.observe.request import (
    ProbeClients,
    ProbeHandshakes,
    ProbeHaproxy,
    ProbeReplica,
    probe_request,
)
from stackctl.plan import HAPROXY
from stackctl.plan.address import GATEWAY_HOST, replicas_in, subnet_of
from stackctl.plan.links import link_ports
from stackctl.plan.ports import API_PORT, METRICS_PORT, SOCKET_PATH, TELEMT_PORT
from stackctl.spec import Stack, load_secrets

LOG_WAIT = 2.0
"""Seconds a replica may take to log a client; the double writes every 0.1 s when idle."""

LOG_POLL = 0.1

ANY = ("0.0.0.0", "::", "")  # noqa: S104


def look(
    engine: Engine,
    stack: Stack,
    *,
    clients: bool = True,
    choice: Choice | None = None,
    counters: bool = False,
) -> Snapshot:
    """One probe run over everything of the stack that runs, and the host.

    Args:
        engine: where the stack runs.
        stack: its file.
        clients: make real client connections through HAProxy and read the replicas' logs.
        choice: handshakes to be made with these; with `clients` alone, with the first user.
        counters: also what each replica has refused so far.

    Raises:
        EngineError: the probe could not be run.
    """
    running = [c for c in engine.containers(stack.name) if c.pid]
    haproxy = next((c for c in running if c.target == HAPROXY), None)
    replicas = [c for c in running if c.is_replica]
    wanted, handshakes, refused = None, None, ""
    if clients and haproxy:
        own = () if stack.network == "host" else engine.subnets().get(stack.name, ())
        wanted = _clients(stack, own)
        try:
            chosen = choice or _first_user(stack)
            handshakes = _handshakes(stack, chosen, wanted, replicas, own)
        except SpecError as error:
            refused = str(error)
    request = probe_request(
        None if haproxy is None else ProbeHaproxy(haproxy.pid, haproxy.id, stack.listen.port),
        _replicas(stack, replicas, counters),
        wanted,
        handshakes=handshakes,
        connections=stack.connections,
    )
    response = engine.probe(request, stack.name)
    logs = _logs(engine, replicas, response) if request["client"] else {}
    return Snapshot.of(response, logs, refused)


def _first_user(stack: Stack) -> Choice:
    """What `verify` makes do with.

    Raises:
        SpecError: the secrets file is wrong or missing.
    """
    users = load_secrets(stack.secrets_path).users
    first = next(iter(users))
    return Choice({first: users[first]})


def _handshakes(
    stack: Stack,
    choice: Choice,
    clients: ProbeClients,
    running: Sequence[Container],
    own: Sequence[str],
) -> ProbeHandshakes:
    subnet = IPv4Network(own[0]) if own else subnet_of(stack, None)
    addresses = {r.name: r.address for r in replicas_in(subnet, stack.replicas)}
    there = {c.target: addresses.get(c.target, "127.0.0.1") for c in running}
    return asked(stack, choice, clients.published, there)


def _logs(
    engine: Engine, replicas: Sequence[Container], response: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    """What the replicas logged since the probe began, once it names the probe's own clients.

    A replica that names no client at all is not waited for where it has counted them.
    """
    awaited = {
        (str(client["server"]), str(client["seen_as"]))
        for client in response.get("clients", ())
        if client.get("server") and client.get("seen_as")
    }
    if (response["request"].get("handshakes") or {}).get("arrivals"):
        awaited |= {
            (str(record.get("server", record["place"])), own_address(record))
            for record in (response.get("handshakes") or {}).get("records", ())
            if not record.get("failure") and not (record.get("arrived") or {}).get("value")
        }
    end = time.monotonic() + LOG_WAIT
    while True:
        time.sleep(LOG_POLL)
        logs = engine.logs(replicas, response["began"])
        told = all(
            any(own in line for line in logs.get(server, ()))
            or (_counted(response, server, own) and not logged_clients(logs.get(server, ())))
            for server, own in awaited
        )
        if told or time.monotonic() > end:
            return logs


def _counted(response: Mapping[str, Any], server: str, own: str) -> bool:
    try:
        counted = counted_clients(response["targets"].get(server, {}).get("beobachten"))
        return ip_of(own) in counted
    except (ParseError, ValueError):
        return False


def _replicas(stack: Stack, running: Sequence[Container], counters: bool) -> list[ProbeReplica]:
    in_host = stack.network == "host"
    addresses = {}
    if in_host:
        subnet = subnet_of(stack, None)
        addresses = {r.name: r.address for r in replicas_in(subnet, stack.replicas)}
    found = []
    for container in running:
        inside = addresses.get(container.target, "127.0.0.1")
        found.append(
            ProbeReplica(
                name=container.target,
                pid=container.pid,
                container=container.id,
                api=(inside, API_PORT),
                metrics=(inside, METRICS_PORT),
                listener=SOCKET_PATH
                if stack.link == "unix"
                else (inside if in_host else ANY[0], TELEMT_PORT),
                counters=counters,
                ports=link_ports(stack),
            )
        )
    return found


def _clients(stack: Stack, own: Sequence[str]) -> ProbeClients:
    """Where the probe's connections go.

    In bridge mode the published address is taken on the stack's own gateway: on loopback the
    engine's userland proxy would answer, and show HAProxy its own address.
    """
    host, port = stack.listen.host, stack.listen.port
    loopback = host if host and host not in ANY and ":" not in host else "127.0.0.1"
    if stack.network == "host":
        return ProbeClients(published=(loopback, port), inside=(loopback, port))
    published = host
    if not host or host in ANY:
        published = str(IPv4Network(own[0])[GATEWAY_HOST]) if own else "127.0.0.1"
    return ProbeClients(published=(published, port), inside=("127.0.0.1", port))
