"""SELinux and AppArmor: what they refused, and what they will."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackctl.checks.doctor.model import Diagnosis, Evidence, Lines, Verdict
from stackctl.observe.model import Unread, text_of, value_of

REFUSED = ("EACCES", "EPERM")
"""The probe is root with the capabilities it needs: only a security module refuses it this way."""

NAMES = {"selinux": "SELinux", "apparmor": "AppArmor"}

INSTALL_PARSER = "install apparmor (`apt-get install apparmor`) and restart the engine"


def security(seen: Evidence) -> Lines:
    """A refusal that was seen, or what the kernel has switched on."""
    if seen.no_facts and not seen.engine and _is_refusal(seen.no_facts.says):
        yield Diagnosis(
            "security",
            Verdict.BAD,
            f"the probe was refused: {seen.no_facts.says}",
            "see the kernel's log (`dmesg | grep -i -e apparmor -e avc`) for which profile refused",
        )
        return
    refused = _refused(seen.facts)
    if refused:
        yield Diagnosis(
            "security",
            Verdict.BAD,
            f"the probe, which is root, may not read {', '.join(refused)}: limits there cannot be "
            "proven",
            "see the kernel's log (`dmesg | grep -i -e apparmor -e avc`) for which profile refused",
        )
    yield _selinux(seen)
    yield _apparmor(seen)


def _is_refusal(words: str) -> bool:
    started = words.startswith(("running the probe", "the probe failed"))
    return started and any(
        word in words.lower() for word in ("apparmor", "selinux", "permission denied")
    )


def _refused(facts: Mapping[str, Any]) -> list[str]:
    starter = facts.get("engine", {}).get("starter", {})
    return [
        f"{name} of {starter.get('comm', 'the engine')}"
        for name in ("limits", "status", "user_namespace")
        if str(starter.get(name, {}).get("error", "")).startswith(REFUSED)
    ]


def _selinux(seen: Evidence) -> Diagnosis:
    enforce = _switch(seen, "selinux")
    if enforce is None:
        return Diagnosis("security", Verdict.OK, "SELinux: not in this kernel")
    if enforce != "1":
        return Diagnosis("security", Verdict.OK, "SELinux: permissive, so it refuses nothing")
    if not seen.security_option("selinux"):
        says = "SELinux enforces; the engine does not label its containers"
        return Diagnosis("security", Verdict.OK, says)
    return Diagnosis(
        "security",
        Verdict.ADVICE,
        "SELinux enforces and the engine labels its containers: they may read the rendered files "
        "only where these are container_file_t",
        "`chcon -R -t container_file_t .stackctl` beside stack.yaml, if a container does not start",
    )


def _apparmor(seen: Evidence) -> Diagnosis:
    enabled = _switch(seen, "apparmor")
    if enabled is None or enabled != "Y":
        how = "not in this kernel" if enabled is None else "switched off at boot"
        return Diagnosis("security", Verdict.OK, f"AppArmor: {how}")
    parser = value_of(seen.reading("security", "parser", what="apparmor_parser"), "apparmor_parser")
    used = seen.security_option("apparmor")
    if parser and used:
        says = "AppArmor is on; the engine loads its profile docker-default with " + parser[0]
        return Diagnosis("security", Verdict.OK, says)
    if used:
        return Diagnosis(
            "security",
            Verdict.BAD,
            "AppArmor is on and the engine has no apparmor_parser to load docker-default with: "
            "containers do not start",
            f"{INSTALL_PARSER}, or boot with apparmor=0",
        )
    return Diagnosis(
        "security",
        Verdict.ADVICE,
        "AppArmor is on in the kernel and this engine runs its containers without a profile",
        "restart the engine" if parser else INSTALL_PARSER,
    )


def _switch(seen: Evidence, name: str) -> str | None:
    """What the kernel's switch says; None where the kernel has no such module."""
    reading = seen.reading("security", name, what=f"whether {NAMES[name]} is on")
    if str(reading.get("error", "")).startswith(("ENOENT", "ENOTDIR")):
        return None
    word = text_of(reading, name).strip()
    if not word:
        raise Unread(f"{name}: its switch is empty")
    return word
