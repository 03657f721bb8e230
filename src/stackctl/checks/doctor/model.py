"""What `doctor` looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from stackctl.checks import finding
from stackctl.checks.finding import Finding
from stackctl.collector.answer import NOT_READ, Host, Reading, Unread
from stackctl.errors import Exit
from stackctl.plan import HostFacts, Plan
from stackctl.plan.sizes import Sizes
from stackctl.spec import Stack

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something is not there, and what to do about it."""

    says: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the topics look at. A Problem stands for each part that is missing.

    Attributes:
        stack: the file.
        sizes: its numbers, within what the engine can grant where that is known.
        plan: the plan against this host; None where the topology has none.
        refusals: what `up` would refuse, one sentence each.
        host: the facts that the plan was made against; None where the collector did not run.
        about: the engine's answer to "version".
        info: the engine's answer to "info".
        engine: why no engine answers.
        compose: version of docker compose.
        compose_lacks: options that stackctl gives to `docker compose up` and compose lacks.
        no_compose: why compose is missing.
        facts: the machine as the collector saw it, or what can be read here without it; None where
            the engine is on another machine and does not answer.
        no_facts: why the collector did not read them.
        same_machine: whether the engine runs on this machine; None where that is not known.
        ahead: seconds the engine's clock is ahead of this machine's; None without the collector.
    """

    stack: Stack
    sizes: Sizes
    plan: Plan | None = None
    refusals: tuple[Problem, ...] = ()
    host: HostFacts | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    engine: Problem | None = None
    compose: str = ""
    compose_lacks: tuple[str, ...] = ()
    no_compose: Problem | None = None
    facts: Host | None = None
    no_facts: Problem | None = None
    same_machine: bool | None = None
    ahead: float | None = None

    @property
    def because(self) -> str:
        """Why the collector's facts are missing, short enough to end a sentence with."""
        if self.engine:
            return "no engine answers"
        return self.no_facts.says if self.no_facts else "the collector did not read it"

    def read(self, take: Callable[[Host], Reading[T]], what: str) -> T:
        """A reading of the machine.

        Args:
            take: picks it.
            what: the same in words, for the operator.

        Raises:
            Unread: the collector did not run, or could not read it.
        """
        return take(self.machine(what)).get(what)

    def machine(self, what: str) -> Host:
        """The machine as it was read.

        Args:
            what: what is wanted of it, in words.

        Raises:
            Unread: the collector did not run, and this machine says nothing of the engine's.
        """
        if self.facts is None:
            raise Unread(f"{what}: not known: {self.because}")
        return self.facts

    def sysctl(self, key: str) -> tuple[int, ...]:
        """The numbers of a key as the host has it; at least one.

        Raises:
            Unread: it could not be read, or holds no numbers.
        """
        return self.numbers(lambda host: host.sysctls.get(key, NOT_READ), key)

    def numbers(self, take: Callable[[Host], Reading[str]], what: str) -> tuple[int, ...]:
        """The numbers of a reading's text; at least one.

        Raises:
            Unread: it could not be read, or holds no numbers.
        """
        words = self.read(take, what).split()
        if not words or not all(word.isascii() and word.isdigit() for word in words):
            raise Unread(f"{what} holds no numbers: {' '.join(words)[:60]!r}")
        return tuple(int(word) for word in words)

    def ceiling(self, ulimit: str) -> int:
        """The highest hard limit a container can be given.

        Raises:
            Unread: the collector could not tell.
        """
        if self.host is None:
            raise Unread(f"what the engine can grant is not known: {self.because}")
        if ulimit not in self.host.ceilings:
            raise Unread(f"the highest {ulimit} that the engine can grant could not be read")
        return self.host.ceilings[ulimit]

    def security_option(self, name: str) -> bool:
        """Whether the engine's own answer names a security option, such as "rootless"."""
        options = self.info.get("SecurityOptions") or ()
        return any(f"name={name}" in str(option).split(",") for option in options)


Lines = Iterator[Finding]
"""What a topic gives: at least one line."""


def exit_status(evidence: Evidence, findings: Sequence[Finding]) -> Exit:
    """3 without an engine, else the rule of every check."""
    return Exit.UNREACHABLE if evidence.engine else finding.exit_status(findings)
