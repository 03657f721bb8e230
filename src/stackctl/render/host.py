"""Plan → host/etc/: what only the machine itself can give, in the tree of its own /etc."""

from __future__ import annotations

from collections.abc import Iterator

from stackctl import __version__
from stackctl.limits import Place
from stackctl.plan import HOST, Plan
from stackctl.render.text import reason


def host_files(plan: Plan) -> dict[str, str]:
    """Every file of host/etc/, by path relative to the render's folder."""
    # sysctl.d is read in name order and the last wins; 99-sysctl.conf is /etc/sysctl.conf.
    files = {
        f"host/etc/sysctl.d/99-zz-stackctl-{plan.name}.conf": _file(plan, _sysctls(plan)),
        f"host/etc/modules-load.d/stackctl-{plan.name}.conf": _file(plan, _modules(plan)),
        f"host/etc/security/limits.d/99-stackctl-{plan.name}.conf": _file(plan, _limits(plan)),
    }
    for unit in sorted({w.where for _, w in plan.written(HOST, Place.SYSTEMD)}):
        files[f"host/etc/systemd/system/{unit}.d/stackctl-{plan.name}.conf"] = _file(
            plan, ["[Service]", *_unit(plan, unit)]
        )
    return files


def _file(plan: Plan, lines: Iterator[str] | list[str]) -> str:
    head = (
        f"# {plan.project}. Rendered by stackctl {__version__}. "
        "In place by: cp -r host/etc/. /etc/\n"
    )
    return head + "\n".join(lines) + "\n"


def _sysctls(plan: Plan) -> Iterator[str]:
    for requirement, written in plan.written(HOST, Place.SYSCTL_D):
        yield reason(requirement, "")
        yield f"{written.where} = {written.text}"


def _modules(plan: Plan) -> Iterator[str]:
    # systemd loads these before it applies sysctl.d, whose keys they bring.
    yield from sorted({written.where for _, written in plan.written(HOST, Place.MODULES_LOAD)})


def _limits(plan: Plan) -> Iterator[str]:
    for requirement, written in plan.written(HOST, Place.LIMITS_D):
        yield reason(requirement, "")
        if not isinstance(written.value, tuple):
            raise TypeError(f"{requirement.limit}: a login limit is a pair, soft and hard")
        # `*` does not cover root: pam_limits wants it by name.
        for domain in ("*", "root"):
            for kind, value in zip(("soft", "hard"), written.value, strict=True):
                yield f"{domain} {kind} {written.where} {value}"


def _unit(plan: Plan, unit: str) -> Iterator[str]:
    for requirement, written in plan.written(HOST, Place.SYSTEMD):
        if written.where == unit:
            yield reason(requirement, "")
            yield written.text
