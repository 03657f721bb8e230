"""The edge: ask the engine for the stack's containers, and the collector to read them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from stackctl.collector import host as collected
from stackctl.collector.answer import Answer, Host, Unread
from stackctl.engine import Container, Engine
from stackctl.errors import SpecError, StackNotRunningError
from stackctl.limits import Role
from stackctl.limits.targets import HAPROXY
from stackctl.observe.host import host_facts
from stackctl.observe.observed import ParseError
from stackctl.observe.request import Choice, clients_of, handshakes_of, request_of, sysctl_keys
from stackctl.observe.snapshot import Snapshot
from stackctl.observe.telemt import counted_clients, ip_of, logged_clients, own_address
from stackctl.plan import HostFacts
from stackctl.spec import Stack, load_secrets

LOG_WAIT = 2.0
"""Seconds that a replica may take to log a client; an idle double writes its log every 0.1 s."""

LOG_POLL = 0.1


def look(
    engine: Engine,
    stack: Stack,
    *,
    clients: bool = True,
    choice: Choice | None = None,
    counters: bool = False,
) -> Snapshot:
    """Run the collector once over the running containers of the stack and the host.

    Args:
        engine: where the stack runs.
        stack: its file.
        clients: make real client connections through HAProxy and read the replicas' logs.
        choice: users and replicas of the handshakes; without it, with `clients`, the first user.
        counters: read also the kernel's counters, descriptors, memory, and replicas' refusals.

    Raises:
        EngineError: the collector could not be run, or could not read the host.
    """
    running = [c for c in engine.containers(stack.name) if c.pid]
    wanted, handshakes, refused = None, None, ""
    if clients and any(c.target == HAPROXY for c in running):
        own = () if stack.network == "host" else engine.subnets().get(stack.name, ())
        wanted = clients_of(stack, own)
        try:
            chosen = choice or _first_user(stack)
            handshakes = handshakes_of(stack, chosen, wanted.published, running, own)
        except SpecError as error:
            refused = str(error)
    request = request_of(stack, running, wanted, handshakes, counters)
    answer = engine.collect(request, stack.name)
    logs = _logs(engine, [c for c in running if c.is_replica], answer) if request.clients else {}
    return Snapshot.of(answer, logs, refused)


def running_haproxy(containers: Sequence[Container], stack: str) -> Container:
    """The stack's HAProxy.

    Raises:
        StackNotRunningError: it does not run.
    """
    found = next((c for c in containers if c.target == HAPROXY and c.pid), None)
    if found is None:
        raise StackNotRunningError(
            f"{stack}: no HAProxy of this stack runs on the engine", "start it: `stackctl up`"
        )
    return found


def facts_of(snapshot: Snapshot, engine: Engine, stack: str) -> HostFacts:
    """The facts that a plan is made against: the machine and the engine's networks."""
    return host_facts(snapshot.host, engine.version, engine.subnets(), stack)


def local_host(proc: str = "/proc") -> Host | None:
    """Facts that can be read here without the collector's container, where no engine answers.

    None where DOCKER_HOST names another machine: facts of this one would be of no use.
    """
    if not os.environ.get("DOCKER_HOST", "unix://").startswith("unix://"):
        return None
    return collected.local(sysctl_keys(*Role), proc)


def _first_user(stack: Stack) -> Choice:
    """The handshakes that `verify` makes: those of the first user.

    Raises:
        SpecError: the secrets file is wrong or missing.
    """
    users = load_secrets(stack.secrets_path).users
    first = next(iter(users))
    return Choice({first: users[first]})


def _logs(
    engine: Engine, replicas: Sequence[Container], answer: Answer
) -> dict[str, tuple[str, ...]]:
    """What the replicas logged since the collector began, once they name its own clients.

    A replica whose log names no clients is not waited for, where it has counted them.
    """
    awaited = {
        (client.server, client.seen_as)
        for client in answer.clients.value or ()
        if client.server and client.seen_as
    }
    asked, made = answer.request.handshakes, answer.handshakes
    if asked and asked.arrivals and made and made.value:
        awaited |= {
            (record.server or record.place, own_address(record))
            for record in made.value.records
            if not record.error
            and not record.tried.ended
            and not (record.arrived and record.arrived.value and record.arrived.value.named)
        }
    end = time.monotonic() + LOG_WAIT
    while True:
        time.sleep(LOG_POLL)
        logs = engine.logs(replicas, answer.began)
        told = all(
            any(own in line for line in logs.get(server, ()))
            or (_counted(answer, server, own) and not logged_clients(logs.get(server, ())))
            for server, own in awaited
        )
        if told or time.monotonic() > end:
            return logs


def _counted(answer: Answer, server: str, own: str) -> bool:
    found = answer.targets.get(server)
    if found is None or found.value is None or found.value.telemt is None:
        return False
    try:
        return ip_of(own) in counted_clients(found.value.telemt.failed)
    except (ParseError, Unread):
        return False
