"""The pids cgroup of a process, through the engine's own view of the cgroup file system."""

from __future__ import annotations

from typing import Any, NamedTuple

from stackctl.collector.reading import Reading, failure, read_text, text


class Mount(NamedTuple):
    """Where a hierarchy is mounted, and which of its directories is shown there."""

    point: str
    root: str


def membership(listing: str) -> tuple[str, str]:
    """("pids" or "" for v2, path) out of /proc/PID/cgroup; v1 wins where both are there.

    Raises:
        LookupError: neither a pids nor a v2 line.
    """
    unified: str | None = None
    for line in listing.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "pids" in controllers.split(","):
            return "pids", path
        if line.startswith("0::"):
            unified = path
    if unified is None:
        raise LookupError("no pids controller in /proc/PID/cgroup")
    return "", unified


def find_mount(mountinfo: str, controller: str) -> Mount:
    """The mount of v1's pids hierarchy, or of v2's only one, out of /proc/PID/mountinfo.

    Raises:
        LookupError: it is not mounted there.
    """
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        kind, options = right.split(" ", 1)[0], right.rsplit(" ", 1)[-1].split(",")
        wanted = kind == "cgroup" and controller in options if controller else kind == "cgroup2"
        if wanted:
            fields = left.split(" ")
            return Mount(fields[4], fields[3])
    raise LookupError(f"no {'pids' if controller else 'cgroup2'} mount")


def directories(path: str, mount: Mount) -> list[str]:
    """The process's own directory and its ancestors below the mount, deepest first."""
    shown = path[len(mount.root) :] if mount.root != "/" and path.startswith(mount.root) else path
    parts = [part for part in shown.split("/") if part]
    return ["/".join([mount.point, *parts[:end]]) for end in range(len(parts), -1, -1)]


def pids(pid: int, engine: int) -> dict[str, Any]:
    """pids.max and pids.current of the process's cgroup, and pids.max of each ancestor.

    The root of the hierarchy has no pids.max: nothing limits there, and its reading says so.
    """
    try:
        controller, path = membership(read_text(f"/proc/{pid}/cgroup"))
        mount = find_mount(read_text(f"/proc/{engine}/mountinfo"), controller)
    except (OSError, LookupError) as problem:
        return {"pids.max": failure(problem), "pids.current": failure(problem), "ancestors": []}
    view = f"/proc/{engine}/root"
    own, *above = directories(path, mount)
    limits = [_limit(view, directory, mount) for directory in (own, *above)]
    return {
        "path": path,
        "pids.max": limits[0],
        "pids.current": {**text(f"{view}{own}/pids.current"), "path": f"{own}/pids.current"},
        "ancestors": limits[1:],
    }


def _limit(view: str, directory: str, mount: Mount) -> Reading:
    reading = text(f"{view}{directory}/pids.max")
    if directory == mount.point and reading.get("error", "").startswith("ENOENT"):
        return {"text": "max", "path": f"{directory} (the root: nothing limits it)"}
    return {**reading, "path": f"{directory}/pids.max"}
