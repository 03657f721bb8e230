"""Reads a request on standard input and prints one JSON object: the facts of the live stack.

    docker run --rm -i --pid host --network host --cgroupns host --userns host --read-only \\
        --cap-drop ALL --cap-add SYS_ADMIN --cap-add SYS_PTRACE --cap-add DAC_READ_SEARCH \\
        --group-add 99 --security-opt apparmor=unconfined IMAGE <<< '<json>'

What each option is for:
    pid host         the targets' /proc entries, and the engine's, under the ids the engine gives
    network host     the host's own namespace: its sysctls, cards and ports; the published address
    cgroupns host    cgroup paths as the engine writes them (cgroup v2)
    userns host      on an engine with userns-remap: capabilities over the host's namespaces
    SYS_ADMIN        setns into the targets' network namespaces
    SYS_PTRACE       /proc/PID/root, ns and fd of other users' processes; pidfd_getfd
    DAC_READ_SEARCH  list /proc/PID/fd of processes that are not root's; files of mode 0600
    group 99         HAProxy's admin socket, mode 660
    apparmor         the engine's process runs unconfined; docker-default may not read its /proc
"""

from __future__ import annotations

import json
import os
import sys

from stackctl.collector.answer import VERSION
from stackctl.collector.collect import run
from stackctl.collector.request import Request
from stackctl.collector.wire import WireError, decode, encode


def main() -> None:
    """Read the request, one line of JSON, from standard input; print the answer.

    The request may carry secrets, so it is no argument: `docker inspect` and ps show arguments.
    """
    if len(sys.argv) != 1:
        sys.stderr.write("usage: collector, with the request on standard input\n")
        raise SystemExit(2)
    try:
        raw = json.loads(sys.stdin.readline())
        version = raw.get("version") if isinstance(raw, dict) else None
        # A request of another version may not have these types.
        answer = encode(run(decode(Request, raw))) if version == VERSION else _refused(version)
    except (WireError, ValueError) as problem:
        sys.stderr.write(f"the request cannot be parsed: {problem}\n")
        raise SystemExit(2) from problem
    sys.stdout.write(json.dumps(answer, separators=(",", ":")) + "\n")
    sys.stdout.flush()
    # A thread that hangs in the kernel must not keep the process alive.
    os._exit(0)


def _refused(version: object) -> dict[str, object]:
    return {"version": VERSION, "error": f"request version {version!r}"}


if __name__ == "__main__":
    main()
