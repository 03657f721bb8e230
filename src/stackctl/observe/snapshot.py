"""One run of the collector as a whole: its answer, and what the replicas logged since. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackctl.collector.answer import Answer, Connection, Handshakes, Host, Target, Unread
from stackctl.collector.request import HaproxyTarget, ReplicaTarget, Request
from stackctl.errors import EngineError
from stackctl.limits.targets import HAPROXY


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One run of the collector.

    Attributes:
        answer: what it answered.
        host: the machine it ran on.
        logs: what each replica logged since it began, by target name.
        not_asked: why no handshake was asked for, where one should have been; else empty.
    """

    answer: Answer
    host: Host
    logs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    not_asked: str = ""

    @classmethod
    def of(
        cls,
        answer: Answer,
        logs: Mapping[str, tuple[str, ...]] | None = None,
        not_asked: str = "",
    ) -> Snapshot:
        """Wrap an answer.

        Args:
            answer: the collector's.
            logs: log lines of each replica since `answer.began`. The double writes its log every
                0.1 s, so fetch them at least that long after the collector has ended.
            not_asked: why no handshake was asked for, if one should have been.

        Raises:
            EngineError: the collector could not read the host.
        """
        if answer.host.value is None:
            raise EngineError(
                f"the collector could not read the host: {answer.host.error}",
                "run the command again; if it fails again, report this message",
            )
        return cls(answer, answer.host.value, logs or {}, not_asked)

    @property
    def request(self) -> Request:
        """What the collector was asked."""
        return self.answer.request

    @property
    def clients(self) -> tuple[Connection, ...]:
        """The connections the collector made.

        Raises:
            Unread: none could be made.
        """
        found = self.answer.clients
        if found.error:
            raise Unread(f"no connection was made: {found.error}")
        return found.value or ()

    @property
    def handshakes(self) -> Handshakes:
        """The handshakes the collector made; empty where none were asked for.

        Raises:
            Unread: none could be made or asked for.
        """
        found = self.answer.handshakes
        error = self.not_asked or (found.error if found else "")
        if error:
            raise Unread(f"no handshake was made: {error}")
        return found.value if found and found.value else Handshakes((), {})

    @property
    def running(self) -> frozenset[str]:
        """Names of the targets that run."""
        return frozenset(self.answer.targets)

    def target(self, name: str) -> Target:
        """A target that could be read.

        Raises:
            Unread: it does not run, or could not be read as a whole.
        """
        found = self.answer.targets.get(name)
        if found is None:
            raise Unread(f"{name} does not run")
        return found.get(name)

    @property
    def haproxy(self) -> HaproxyTarget:
        """What the collector was asked about HAProxy.

        Raises:
            Unread: it was not asked about it.
        """
        if self.request.haproxy is None:
            raise Unread(f"the collector was not asked about {HAPROXY}")
        return self.request.haproxy

    def replica(self, name: str) -> ReplicaTarget:
        """What the collector was asked about a replica.

        Raises:
            Unread: it was not asked about it.
        """
        for target in self.request.replicas:
            if target.name == name:
                return target
        raise Unread(f"the collector was not asked about {name}")


def ahead(snapshot: Snapshot, before: float, after: float) -> float:
    """Seconds by which the collector's clock lies outside the time of its run by this clock."""
    began = snapshot.answer.began
    if before <= began <= after:
        return 0.0
    return began - (after if began > after else before)
