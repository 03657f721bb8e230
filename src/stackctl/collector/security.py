"""Security modules: what the kernel has switched on, as far as a container can see it."""

from __future__ import annotations

import os

from stackctl.collector.reading import Reading, text

_PARSERS = ("/sbin/apparmor_parser", "/usr/sbin/apparmor_parser")


def readings(shim: int) -> dict[str, Reading]:
    """What the kernel has switched on: "lsm", "apparmor" (Y or N), "selinux" (1 enforces).

    "parser" has the paths at which apparmor_parser is in the engine's root, "label" the probe's
    own.
    """
    root = f"/proc/{shim}/root"
    return {
        "lsm": _of(root, "/sys/kernel/security/lsm"),
        "apparmor": text("/sys/module/apparmor/parameters/enabled"),
        "selinux": _of(root, "/sys/fs/selinux/enforce"),
        "parser": {"value": [path for path in _PARSERS if os.path.lexists(root + path)]},
        "label": text("/proc/thread-self/attr/current"),
    }


def _of(root: str, path: str) -> Reading:
    return {**text(root + path), "path": path}
