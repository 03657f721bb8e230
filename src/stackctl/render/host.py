"""Plan → host/: settings that only the machine can have, and the script that puts them in place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from importlib import resources

from stackctl import __version__
from stackctl.limits import HOST_PLACES, TABLE, Compare, Kind, Limit, Place, Scope
from stackctl.limits.targets import HOST
from stackctl.limits.values import compact, digits
from stackctl.plan import Plan, Requirement, Written
from stackctl.render.text import environment, reason

SCRIPT = "host/prepare.sh"
HARDWARE_SCRIPT = "host/hardware.sh"

PREPARE_PARTS = (
    "start.sh",
    "record.sh",
    "hardware.sh",
    "observe.sh",
    "boot.sh",
    "decide.sh",
    "files.sh",
    "act.sh",
    "findings.sh",
    "commands.sh",
)
"""The parts of prepare.sh in render/prepare/, in their order: the first reads the arguments and the
last runs the command. hardware.sh, which finds the second script, needs the record."""

HARDWARE_PARTS = (
    "hardware/start.sh",
    "hardware/cards.sh",
    "hardware/wishes.sh",
    "hardware/boot.sh",
    "hardware/advice.sh",
)
"""The parts of hardware.sh, in their order."""

_PROGRAM = re.compile(
    r"^# awk program (?P<variable>[A-Z_]+): (?P<file>[a-z_]+\.awk)\n", re.MULTILINE
)

RFS_TABLE = "net.core.rps_sock_flow_entries"

INHERITED = frozenset({Kind.TRIPLE, Kind.WORD})
"""Kinds of namespaced keys that a new namespace copies from the host (tcp_rmem, tcp_wmem and the
congestion control): such a value says nothing about the kernel's own default."""

_RULES = {
    Compare.EQUAL: "equal",
    Compare.AT_LEAST: "at-least",
    Compare.COVERS: "covers",
}


def host_files(plan: Plan) -> dict[str, str]:
    """Every file of host/, by path relative to the render's folder."""
    # sysctl.d is read in name order and the last wins; 99-sysctl.conf is /etc/sysctl.conf.
    files = {
        f"host/etc/sysctl.d/99-zz-stackctl-{plan.name}.conf": _file(plan, _sysctls(plan)),
        f"host/etc/modules-load.d/stackctl-{plan.name}.conf": _file(plan, _modules(plan)),
        f"host/etc/security/limits.d/99-stackctl-{plan.name}.conf": _file(plan, _limits(plan)),
        "host/limits.tsv": limits_table(plan),
        SCRIPT: prepare_script(),
    }
    if any(_hardware(plan)):
        files[HARDWARE_SCRIPT] = hardware_script()
    for unit in sorted({w.where for _, w in plan.written(HOST, Place.SYSTEMD)}):
        # 99-zz: of several drop-ins the last by name wins.
        files[f"host/etc/systemd/system/{unit}.d/99-zz-stackctl-{plan.name}.conf"] = _file(
            plan, ["[Service]", *_unit(plan, unit)]
        )
    if plan.mode == "strict":
        files[f"host/stackctl-{plan.name}.service"] = (
            environment().get_template("stack.service.j2").render(plan=plan, version=__version__)
        )
    return files


@cache
def prepare_script() -> str:
    """The text of prepare.sh, the same for every stack."""
    return _script(PREPARE_PARTS)


@cache
def hardware_script() -> str:
    """The text of hardware.sh, the same for every stack that asks for something in `host:`."""
    return _script(HARDWARE_PARTS)


def _script(parts: tuple[str, ...]) -> str:
    return "\n".join(_part(part) for part in parts)


def _part(name: str) -> str:
    """A part of a script. Comments that name an awk program become shell variables with it."""
    source = resources.files("stackctl.render") / "prepare"
    folder = source / name.rpartition("/")[0]

    def program(match: re.Match[str]) -> str:
        text = (folder / match["file"]).read_text()
        if "'" in text:
            raise ValueError(f"{match['file']}: a single quote would end the program; write \\047")
        return f"# shellcheck disable=SC2016 # $ in awk\n{match['variable']}='\n{text}'\n"

    return _PROGRAM.sub(program, (source / name).read_text())


def limits_table(plan: Plan) -> str:
    """limits.tsv, which prepare.sh works from: a line for each limit that is required of the host.

    Its fields, separated by tabs: how it is set (sysctl, login, unit, hardware), the row's key,
    how values compare, the wanted value, the kernel module it needs or "-", and one field more: for
    a sysctl whether a new namespace shows the kernel's default, for a login the item, for a unit
    the property and the units that get it. A hardware line says in one word what is asked of
    processors or cards; the script turns it into values on the machine.
    """
    lines = [
        "\t".join(_row(requirement))
        for requirement in plan.requirements
        if requirement.target == HOST
    ]
    lines += ["\t".join(row) for row in _hardware(plan)]
    return "\n".join([f"stack\t{plan.name}", *lines, "end"]) + "\n"


def _hardware(plan: Plan) -> Iterator[tuple[str, ...]]:
    for topic, wanted in asdict(plan.hardware).items():
        if wanted not in (0, "keep"):
            yield "hardware", topic, "equal", str(wanted), "-", "-"
    if plan.hardware.rfs:
        yield "sysctl", RFS_TABLE, "at-least", str(plan.hardware.rfs), "-", "host"


def _row(requirement: Requirement) -> tuple[str, ...]:
    limit = TABLE[requirement.limit]
    written = [w for w in requirement.written if w.place in HOST_PLACES]
    module = next((w.where for w in written if w.place is Place.MODULES_LOAD), "-")
    how, extra = _way(limit, [w for w in written if w.place is not Place.MODULES_LOAD])
    text = digits if how == "sysctl" else compact
    return how, limit.key, _RULES[limit.compare], text(requirement.wanted), module, extra


def _way(limit: Limit, written: list[Written]) -> tuple[str, str]:
    place = written[0].place
    if place is Place.LIMITS_D:
        return "login", written[0].where
    if place is Place.SYSTEMD:
        prop = written[0].text.partition("=")[0]
        return "unit", " ".join([prop, *(w.where for w in written)])
    if limit.scope is Scope.HOST:
        return "sysctl", "host"
    return "sysctl", "inherited" if limit.kind in INHERITED else "netns"


def _file(plan: Plan, lines: Iterator[str] | list[str]) -> str:
    head = (
        f"# {plan.project}. Rendered by stackctl {__version__}. "
        "host/prepare.sh puts it below /etc,\n"
        "# with the greatest value that any stack on the host asks for.\n"
    )
    return head + "\n".join(lines) + "\n"


def _sysctls(plan: Plan) -> Iterator[str]:
    for requirement, written in plan.written(HOST, Place.SYSCTL_D):
        yield reason(requirement, "")
        yield f"{written.where} = {written.text}"
    if plan.hardware.rfs:
        yield "# Flows remembered for receive flow steering, shared by all cards: host.rfs."
        yield f"{RFS_TABLE} = {plan.hardware.rfs}"


def _modules(plan: Plan) -> Iterator[str]:
    # systemd loads these before it applies sysctl.d: the modules bring keys that sysctl.d sets.
    yield from sorted({written.where for _, written in plan.written(HOST, Place.MODULES_LOAD)})


def _limits(plan: Plan) -> Iterator[str]:
    for requirement, written in plan.written(HOST, Place.LIMITS_D):
        yield reason(requirement, "")
        if not isinstance(written.value, tuple):
            raise TypeError(f"{requirement.limit}: a login limit is a pair, soft and hard")
        # `*` does not cover root: pam_limits needs root by name.
        for domain in ("*", "root"):
            for kind, value in zip(("soft", "hard"), written.value, strict=True):
                yield f"{domain} {kind} {written.where} {value}"


def _unit(plan: Plan, unit: str) -> Iterator[str]:
    for requirement, written in plan.written(HOST, Place.SYSTEMD):
        if written.where == unit:
            yield reason(requirement, "")
            yield written.text
