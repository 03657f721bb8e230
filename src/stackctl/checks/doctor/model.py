"""What a doctor is shown, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from stackctl.errors import Exit
from stackctl.observe.model import Unread, text_of
from stackctl.plan import HostFacts, Plan
from stackctl.plan.sizes import Sizes
from stackctl.spec import Stack


class Verdict(StrEnum):
    """What a topic means for the stack's number."""

    OK = "ok"
    ADVICE = "advice"
    """The number can be reached and limits are in force; something could still be better."""
    BAD = "bad"
    """The number cannot be reached, or limits are not in force because of it."""
    UNKNOWN = "unknown"
    """It could not be read; the line says why."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line.

    Attributes:
        topic: what was looked at.
        verdict: ok, advice, bad or unknown.
        says: what was seen, with the figures of this host and this stack.
        remedy: what to do; empty for ok.
    """

    topic: str
    verdict: Verdict
    says: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something is not there, and what to do about it."""

    says: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the topics look at. What is missing has a Problem in its place.

    Attributes:
        stack: the file.
        sizes: its numbers, within what the engine can grant where that is known.
        plan: the plan against this host; None where the topology has none.
        refusals: what `up` would refuse, one sentence each.
        host: what the plan was made against; None where the probe did not run.
        about: the engine's answer to "version".
        info: the engine's answer to "info".
        engine: why no engine answers.
        compose: version of docker compose.
        compose_lacks: options of `docker compose up` that stackctl gives and it does not have.
        no_compose: why there is none.
        facts: of the probe (observe/response.py), or what this machine tells without it.
        no_facts: why the probe's are missing.
        same_machine: whether the engine runs on this machine; None where that is not known.
        ahead: seconds the engine's clock is ahead of this machine's; None without the probe.
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
    facts: Mapping[str, Any] = field(default_factory=dict)
    no_facts: Problem | None = None
    same_machine: bool | None = None
    ahead: float | None = None

    @property
    def because(self) -> str:
        """Why the probe's facts are missing, short enough to end a sentence with."""
        if self.engine:
            return "no engine answers"
        return self.no_facts.says if self.no_facts else "the probe did not read it"

    def reading(self, *path: str, what: str) -> Mapping[str, Any]:
        """One of the probe's readings by its keys.

        Args:
            path: keys of the facts (observe/response.py).
            what: the same in words, for the operator.

        Raises:
            Unread: the probe did not run, or does not have it.
        """
        found: Any = self.facts
        for step in path:
            found = found.get(step) if isinstance(found, Mapping) else None
            if found is None:
                raise Unread(f"{what}: not known, {self.because}")
        reading: Mapping[str, Any] = found
        return reading

    def sysctl(self, key: str) -> tuple[int, ...]:
        """The numbers of a key as the host has it; at least one.

        Raises:
            Unread: it could not be read, or holds no numbers.
        """
        return self.numbers("sysctls", key, what=key)

    def numbers(self, *path: str, what: str) -> tuple[int, ...]:
        """The numbers of a reading's text; at least one.

        Raises:
            Unread: it could not be read, or holds no numbers.
        """
        words = text_of(self.reading(*path, what=what), what).split()
        if not words or not all(word.isascii() and word.isdigit() for word in words):
            raise Unread(f"{what} holds no numbers: {' '.join(words)[:60]!r}")
        return tuple(int(word) for word in words)

    def ceiling(self, ulimit: str) -> int:
        """The highest hard limit a container can be given.

        Raises:
            Unread: the probe could not tell.
        """
        if self.host is None:
            raise Unread(f"what the engine can grant is not known, {self.because}")
        if ulimit not in self.host.ceilings:
            raise Unread(f"what the engine can grant of {ulimit} could not be read")
        return self.host.ceilings[ulimit]

    def security_option(self, name: str) -> bool:
        """Whether the engine's own answer names a security option, such as "rootless"."""
        options = self.info.get("SecurityOptions") or ()
        return any(f"name={name}" in str(option).split(",") for option in options)


Lines = Iterator[Diagnosis]
"""What a topic gives: at least one line."""


def summary(diagnoses: Sequence[Diagnosis]) -> dict[str, int]:
    """How many lines of each verdict, zeros included."""
    return {v.value: sum(d.verdict is v for d in diagnoses) for v in Verdict}


def exit_status(evidence: Evidence, diagnoses: Sequence[Diagnosis]) -> Exit:
    """3 without an engine, 1 where a line is bad or unknown, else 0."""
    if evidence.engine:
        return Exit.UNREACHABLE
    wrong = any(d.verdict in {Verdict.BAD, Verdict.UNKNOWN} for d in diagnoses)
    return Exit.SHORT if wrong else Exit.OK
