"""SELinux and AppArmor: what they refused, and what they will refuse."""

from __future__ import annotations

from collections.abc import Callable

from stackctl.checks.doctor.model import Evidence, Lines
from stackctl.checks.finding import Finding, Verdict
from stackctl.collector.answer import Host, Reading, Unread

REFUSED = ("EACCES", "EPERM")
"""The collector is root and has its capabilities, so only a security module refuses it a read."""

NAMES = {"selinux": "SELinux", "apparmor": "AppArmor"}

INSTALL_PARSER = "install apparmor (`apt-get install apparmor`) and restart the engine"


def security(seen: Evidence) -> Lines:
    """Refusals that were seen, and which security modules are on."""
    if seen.no_facts and not seen.engine and _is_refusal(seen.no_facts.says):
        yield Finding(
            "security",
            Verdict.SHORT,
            f"the collector was refused: {seen.no_facts.says}",
            "see the kernel's log (`dmesg | grep -i -e apparmor -e avc`) for which profile refused",
        )
        return
    refused = _refused(seen.facts)
    if refused:
        yield Finding(
            "security",
            Verdict.SHORT,
            f"the collector, which is root, may not read {', '.join(refused)}: limits there cannot "
            "be proven",
            "see the kernel's log (`dmesg | grep -i -e apparmor -e avc`) for which profile refused",
        )
    yield _selinux(seen)
    yield _apparmor(seen)


def _is_refusal(words: str) -> bool:
    started = words.startswith(("running the collector", "the collector failed"))
    return started and any(
        word in words.lower() for word in ("apparmor", "selinux", "permission denied")
    )


def _refused(facts: Host | None) -> list[str]:
    if facts is None:
        return []
    starter = facts.engine.starter
    readings = {
        "limits": starter.limits,
        "status": starter.status,
        "user_namespace": starter.user_namespace,
    }
    return [
        f"{name} of {starter.comm or 'the engine'}"
        for name, reading in readings.items()
        if reading.error.startswith(REFUSED)
    ]


def _selinux(seen: Evidence) -> Finding:
    enforce = _switch(seen, "selinux", lambda host: host.security.selinux)
    if enforce is None:
        return Finding("security", Verdict.OK, "SELinux: not in this kernel")
    if enforce != "1":
        return Finding("security", Verdict.OK, "SELinux: permissive, so it refuses nothing")
    if not seen.security_option("selinux"):
        says = "SELinux enforces; the engine does not label its containers"
        return Finding("security", Verdict.OK, says)
    return Finding(
        "security",
        Verdict.ADVICE,
        "SELinux enforces and the engine labels its containers: they may read the rendered files "
        "only where these are container_file_t",
        "`chcon -R -t container_file_t .stackctl` beside stack.yaml, if a container does not start",
    )


def _apparmor(seen: Evidence) -> Finding:
    enabled = _switch(seen, "apparmor", lambda host: host.security.apparmor)
    if enabled is None or enabled != "Y":
        how = "not in this kernel" if enabled is None else "switched off at boot"
        return Finding("security", Verdict.OK, f"AppArmor: {how}")
    parser = seen.read(lambda host: host.security.parser, "apparmor_parser")
    used = seen.security_option("apparmor")
    if parser and used:
        says = "AppArmor is on; the engine loads its profile docker-default with " + parser[0]
        return Finding("security", Verdict.OK, says)
    if used:
        return Finding(
            "security",
            Verdict.SHORT,
            "AppArmor is on and the engine has no apparmor_parser to load docker-default with: "
            "containers do not start",
            f"{INSTALL_PARSER}, or boot with apparmor=0",
        )
    return Finding(
        "security",
        Verdict.ADVICE,
        "AppArmor is on in the kernel and this engine runs its containers without a profile",
        "restart the engine" if parser else INSTALL_PARSER,
    )


def _switch(seen: Evidence, name: str, take: Callable[[Host], Reading[str]]) -> str | None:
    """What the kernel's switch says; None where the kernel has no such module."""
    what = f"whether {NAMES[name]} is on"
    reading = take(seen.machine(what))
    if reading.error.startswith(("ENOENT", "ENOTDIR")):
        return None
    word = reading.get(what).strip()
    if not word:
        raise Unread(f"{name}: its switch file is empty")
    return word
