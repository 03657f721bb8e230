"""A captured engine and host, and a stack to check against them."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import pytest

from stackctl.checks.doctor import TOPICS, Evidence, judge
from stackctl.checks.finding import Finding
from stackctl.collector.answer import Host
from stackctl.collector.wire import decode
from stackctl.observe.host import host_facts
from stackctl.operate.examine import plan_of
from stackctl.plan import HostFacts, sizes_of
from stackctl.spec import Stack
from tests.unit import captured

CAPABILITIES = 0x1FFFFFFFFFF
SYS_RESOURCE = 1 << 24


class Patient:
    """The captured machine and engine with changes, as the topics see them.

    What verdicts rest on is set, so that they hold wherever the machine was captured.
    """

    def __init__(self) -> None:
        self.facts: dict[str, Any] = captured.host()
        self.about, self.info = captured.engine()
        self.more: dict[str, Any] = {"compose": "2.40.3", "same_machine": True, "ahead": 0.0}
        self.stack: dict[str, Any] = {"name": "lab", "connections": 8000, "replicas": 2}
        self.nofile(20_000, 20_000)
        self.capabilities(CAPABILITIES - SYS_RESOURCE)
        self.facts["engine"]["starter"]["user_namespace"] = {"value": "user:[4026531837]"}
        self.facts["memory"] = self.facts["memory_available"] = {"value": 24 << 30}
        self.sysctl("fs.nr_open", "1048576")
        self.sysctl("fs.file-max", "9223372036854775807")
        self.sysctl("net.netfilter.nf_conntrack_max", "262144")

    def sysctl(self, key: str, text: str) -> None:
        """The host's value of a key."""
        self.facts["sysctls"][key] = {"value": text + "\n", "path": "/proc/sys"}

    def nofile(self, soft: int, hard: int, *path: str) -> None:
        """The row of open files in a text of limits, by default the starter's."""
        reading: Any = self.facts
        for step in path or ("engine", "starter", "limits"):
            reading = reading[step]
        row = next(x for x in reading["value"].splitlines() if x.startswith("Max open files"))
        new = f"{'Max open files':26}{soft:<21}{hard:<21}files     "
        reading["value"] = reading["value"].replace(row, new)

    def capabilities(self, mask: int) -> None:
        """What the process that starts containers may do."""
        status = self.facts["engine"]["starter"]["status"]
        status["value"], found = re.subn(r"CapEff:\t\w+", f"CapEff:\t{mask:016x}", status["value"])
        assert found

    def may_raise(self) -> None:
        """CAP_SYS_RESOURCE for the process that starts containers."""
        self.capabilities(CAPABILITIES)

    def evidence(self) -> Evidence:
        """All of it, planned."""
        facts = decode(Host, copy.deepcopy(self.facts))
        stack = Stack.model_validate(self.stack)
        seen_host = host_facts(facts, "", {}, stack.name)
        host = HostFacts(
            seen_host.ceilings, seen_host.choices, seen_host.sysctls, tracked=seen_host.tracked
        )
        refusals, plan = plan_of(stack, host)
        seen = Evidence(
            stack,
            sizes_of(stack, host),
            plan=plan,
            refusals=refusals,
            host=host,
            facts=facts,
            about=self.about,
            info=self.info,
        )
        return replace(seen, **self.more)

    def lines(self, topic: str) -> list[Finding]:
        """What one topic says of it."""
        return [line for line in judge(self.evidence()) if line.about == topic]

    def line(self, topic: str) -> Finding:
        """The only line of a topic."""
        (line,) = self.lines(topic)
        return line

    def verdicts(self, topic: str) -> list[str]:
        """The verdicts of a topic's lines; what is not ok has a remedy."""
        lines = self.lines(topic)
        assert all(bool(line.remedy) == (line.verdict != "ok") for line in lines)
        return [line.verdict.value for line in lines]


@pytest.fixture
def patient() -> Patient:
    """As captured, but without CAP_SYS_RESOURCE under a hard nofile of 20000."""
    assert TOPICS
    return Patient()
