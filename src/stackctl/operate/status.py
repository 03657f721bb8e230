"""Which containers of a stack run, and the state of each replica in HAProxy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stackctl.engine import Container, Engine
from stackctl.errors import Exit
from stackctl.observe.haproxy import servers
from stackctl.observe.look import look
from stackctl.spec import Stack


@dataclass(frozen=True, slots=True)
class Status:
    """A stack as it stands.

    Attributes:
        name: the stack's name.
        replicas: how many stack.yaml asks for.
        others: how many other containers there should be: HAProxy, and a lab's data centre.
        containers: HAProxy first, then the replicas that exist.
        servers: HAProxy's `show stat` row of each replica; empty if HAProxy does not answer.
    """

    name: str
    replicas: int
    others: int
    containers: tuple[Container, ...]
    servers: Mapping[str, Mapping[str, str]]

    @property
    def exit_status(self) -> Exit:
        """0 where every container is healthy and HAProxy has every replica up."""
        healthy = sum(
            c.status == "running" and c.health in {"healthy", ""} for c in self.containers
        )
        up = sum(row.get("status", "").startswith("UP") for row in self.servers.values())
        whole = healthy == self.replicas + self.others and up == self.replicas
        return Exit.OK if whole else Exit.SHORT


def status(stack: Stack, engine: Engine) -> Status:
    """The stack as it stands; nothing is changed."""
    containers = engine.containers(stack.name)
    rows: Mapping[str, Mapping[str, str]] = {}
    if any(c.target == "haproxy" and c.pid for c in containers):
        rows = servers(look(engine, stack, clients=False))
    others = 1 + (stack.telemt.datacentre == "lab")
    return Status(stack.name, stack.replicas, others, containers, rows)
