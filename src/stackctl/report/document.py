"""Findings as machines read them: one JSON object, and JUnit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from stackctl.checks.finding import LimitFinding, Verdict, exit_status, summary
from stackctl.plan import Plan
from stackctl.report.jsontext import plain
from stackctl.report.words import printable


def document(plan: Plan, findings: Sequence[LimitFinding]) -> dict[str, Any]:
    """The object of `verify --json`: findings, summary, stack, telemt, exit."""
    return {
        "stack": plan.name,
        "telemt": plan.sources.telemt,
        "mode": plan.mode,
        "network": plan.network,
        "link": plan.link,
        "connections": plan.connections,
        "replicas": len(plan.replicas),
        "findings": findings_document(findings),
        "summary": summary(findings),
        "exit": int(exit_status(findings)),
    }


def findings_document(findings: Sequence[LimitFinding]) -> list[dict[str, Any]]:
    """Findings of `verify`, `host` or `load` as JSON objects."""
    return [
        {
            "limit": f.limit,
            "target": f.target,
            "wanted": plain(f.wanted),
            "got": None if f.got is None else plain(f.got),
            "verdict": f.verdict.value,
            "depth": f.depth.value,
            "evidence": "; ".join(filter(None, (f.reason, f.evidence))),
            "remedy": f.remedy,
        }
        for f in findings
    ]


def junit(plan: Plan, findings: Sequence[LimitFinding]) -> str:
    """JUnit XML of a verification."""
    name = f"stackctl verify {plan.name} (telemt: {plan.sources.telemt})"
    return testsuite(name, plan.name, findings)


def testsuite(name: str, stack: str, findings: Sequence[LimitFinding]) -> str:
    """JUnit XML: one test case for each finding; short fails, unreadable is an error."""
    counts = summary(findings)
    suite = ElementTree.Element(
        "testsuite",
        name=name,
        tests=str(len(findings)),
        failures=str(counts["short"]),
        errors=str(counts["error"]),
        skipped=str(counts["skipped"]),
    )
    elements = {
        Verdict.SHORT: "failure",
        Verdict.ERROR: "error",
        Verdict.SKIPPED: "skipped",
    }
    for finding in findings:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{stack}.{finding.target}", name=finding.limit
        )
        message = f"wanted {plain(finding.wanted)}, got {finding.got and plain(finding.got)}"
        if finding.verdict in elements:
            child = ElementTree.SubElement(case, elements[finding.verdict], message=message)
            child.text = printable(
                "\n".join(filter(None, (finding.reason, finding.evidence, finding.remedy)))
            )
        out = ElementTree.SubElement(case, "system-out")
        out.text = printable(f"{finding.verdict} ({finding.depth}): {finding.evidence}")
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(
        suite, encoding="unicode"
    )
