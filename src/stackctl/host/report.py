"""Output of prepare.sh --porcelain → findings. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stackctl.checks.finding import LimitFinding, Verdict
from stackctl.errors import Exit, HostError
from stackctl.limits import TABLE, Depth, Value
from stackctl.limits.targets import HOST
from stackctl.limits.values import parse

FIELDS = 7
"""Fields of a finding: verdict, limit, wanted, got, depth, evidence, remedy."""

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class HostReport:
    """One run of prepare.sh.

    Attributes:
        host: where it ran: "this host", or the ssh destination.
        command: check, apply or rollback.
        dry: whether nothing was changed; then `changes` lists what would be.
        findings: one for each limit the stack asks of its host; for rollback, what was left.
        changes: what was changed, in this order.
        notes: what else the operator should know.
        advice: on the hardware, as (topic, sentence).
        status: the script's own exit status, 0 or 1.
    """

    host: str
    command: str
    dry: bool
    findings: tuple[LimitFinding, ...]
    changes: tuple[str, ...]
    notes: tuple[str, ...]
    advice: tuple[tuple[str, str], ...]
    status: Exit


def read_report(text: str, host: str, command: str, dry: bool) -> HostReport:
    """Read the report from the output of prepare.sh.

    Args:
        text: its standard output with --porcelain.
        host: where it ran, for messages.
        command: check, apply or rollback.
        dry: whether it was told --dry-run.

    Raises:
        HostError: the output was cut off before its last line, or has another form.
    """
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        tag, _, rest = line.partition("\t")
        found.setdefault(tag, []).append(rest)
    end = found.pop("end", [])
    if len(end) != 1 or end[0] not in {"0", "1"} or not text.rstrip().endswith(f"end\t{end[0]}"):
        last = text.strip().splitlines()[-1:] or ["nothing"]
        raise HostError(
            f"{command} on {host} did not finish; its last line: {last[0][:200]}",
            "run the same command again: it goes on where it stopped",
        )
    strange = set(found) - {"finding", "change", "note", "advice"}
    if strange:
        raise HostError(
            f"{command} on {host} printed an unknown line: {sorted(strange)[0][:200]!r}",
            "check its login shell, which must print nothing",
        )
    return HostReport(
        host=host,
        command=command,
        dry=dry,
        findings=tuple(_finding(line.split("\t"), host) for line in found.get("finding", ())),
        changes=tuple(found.get("change", ())),
        notes=tuple(found.get("note", ())),
        advice=tuple(_pair(line) for line in found.get("advice", ())),
        status=Exit(int(end[0])),
    )


def _finding(fields: Sequence[str], host: str) -> LimitFinding:
    if len(fields) != FIELDS:
        raise HostError(
            f"a finding from {host} has {len(fields)} fields, not {FIELDS}: {fields[:2]}",
            "use the prepare.sh of this stackctl: render again",
        )
    verdict, key, wanted, got, depth, evidence, remedy = fields
    try:
        return LimitFinding(
            about=key,
            target=HOST,
            wanted=_value(key, wanted),
            got=None if got == NOTHING else _value(key, got),
            verdict=Verdict(verdict),
            depth=Depth(depth),
            evidence=evidence,
            reason="",
            remedy="" if remedy == NOTHING else remedy,
        )
    except ValueError as error:
        raise HostError(
            f"a finding from {host} cannot be read: {key}: {error}",
            "use the prepare.sh of this stackctl: render again",
        ) from error


def _value(key: str, text: str) -> Value:
    # The host may have a value that is not of the row's kind; it is shown as it is.
    try:
        return parse(TABLE[key].kind, text) if key in TABLE else text
    except ValueError:
        return text


def _pair(line: str) -> tuple[str, str]:
    topic, _, sentence = line.partition("\t")
    return topic, sentence
