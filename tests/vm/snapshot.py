"""Snapshots of a machine's /proc/sys and /etc, and how two of them differ."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .machine import Machine

COUNTERS = re.compile(
    r"/proc/sys/(fs/(aio-nr|dentry-state|file-nr|inode-nr|inode-state|quota/.*)"
    r"|kernel/(ns_last_pid|pty/nr|random/.*)"
    r"|net/netfilter/nf_conntrack_count)"
)
"""These are counters: they change by themselves."""

COMPUTED = re.compile(
    r"/proc/sys/(net/ipv4/(tcp_mem|udp_mem|tcp_max_orphans)|kernel/threads-max"
    r"|user/max_.*|vm/(min_free_kbytes|user_reserve_kbytes|admin_reserve_kbytes|lowmem_reserve.*)"
    r"|fs/epoll/max_user_watches|fs/inotify/max_user_watches)"
)
"""The kernel computes these at each boot from the memory that is free."""

# Modes, owners and contents. Rollback does not promise to restore times.
_TAKE = r"""
grep -rs '' /proc/sys | sed 's/[ \t][ \t]*/ /g; s/:/ = /' | sort
find /etc -mindepth 1 -printf '%p = %y %m %U:%G %l\n' | sort
find /etc -type f -exec sha256sum {} + | sort -k 2 | sed 's/^\([^ ]*\)  \(.*\)$/\2 sum = \1/'
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Each setting and file as text, by path."""

    entries: dict[str, str]

    def changes(self, later: Snapshot, *, booted: bool = False) -> dict[str, tuple[str, str]]:
        """Entries that differ in `later`, as (before, after); "" stands for a missing one.

        Args:
            later: the other one.
            booted: the machine was rebooted in between.
        """
        return {
            path: (self.entries.get(path, ""), later.entries.get(path, ""))
            for path in sorted(self.entries.keys() | later.entries.keys())
            if self.entries.get(path) != later.entries.get(path)
            and not COUNTERS.fullmatch(path)
            and not (booted and COMPUTED.fullmatch(path))
        }


def take(machine: Machine) -> Snapshot:
    """The machine as it is now."""
    entries: dict[str, str] = {}
    for line in filter(None, machine.run(_TAKE).stdout.split("\n")):
        path, separator, text = line.partition(" = ")
        assert separator, line
        # A setting of several lines has one entry all the same.
        entries[path] = f"{entries[path]}; {text}" if path in entries else text
    assert sum(path.startswith("/proc/sys/") for path in entries) > 500
    assert "/etc/passwd sum" in entries
    return Snapshot(entries)
