"""Writes tests/captured/CASE/*.json: what the collector answers of live stacks.

    python -m scripts.capture [--into FOLDER] [CASE ...]

It starts lab stacks of its own, one after the other, and removes them again. A case is one
situation. Each of its files is one part of an answer: the machine, a container, the clients.

No file has a secret: one that would is not written. What tells of the machine is replaced:

- its host name by "captured-host", its boot id by zeros, its kernel's release by the bare number;
- its addresses by those of documentation (RFC 5737, RFC 3849).

What is not the stack's is left out:

- what others listen on, and their docker-proxies;
- cards that are neither the machine's way out nor the stack's;
- lines of limits.conf and limits.d that name others than `*` and root.

A path of this machine is not replaced but refused, as none belongs in an answer.
Sizes, kernel, engine and start times are the machine's own: unit tests set those that they need.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stackctl.collector.answer import VERSION, Answer, Host, Target
from stackctl.collector.haproxy import Admin
from stackctl.collector.reading import Deadline
from stackctl.collector.request import Request
from stackctl.collector.wire import encode
from stackctl.engine import Engine
from stackctl.errors import EngineError
from stackctl.limits.targets import HAPROXY, replica_name
from stackctl.observe.look import look
from stackctl.observe.request import Choice, request_of
from stackctl.observe.snapshot import Snapshot
from stackctl.spec import Stack, load, load_secrets
from stackctl.spec.secrets import new_secret

ROOT = Path(__file__).parents[1]
CAPTURED = ROOT / "tests" / "captured"

STACK = """\
name: captured
connections: 600
replicas: 2
listen: 19443
limits: {mode: fit, nofile: {soft: 10000, hard: 20000}}
haproxy: {source: auto, version: "3.0"}
telemt:
  source: double
  version: 3.4.25
  domain: www.example.com
  public_host: 127.0.0.1
  modes: [secure, tls]
  datacentre: lab
secrets: secrets.yaml
"""

STACKS = {
    "bridge-unix": "network: bridge\nlink: unix\n",
    "bridge-tcp": "network: bridge\nlink: tcp\nlink_ports: 3\nbuffers: density\n",
    "host-tcp": "network: host\nlink: tcp\n",
}
"""The stacks that cases are captured from, by what STACK is completed with."""

Parts = dict[str, dict[str, Any]]
"""Files of a case, by name, without the version."""

CONTAINERS = (HAPROXY, replica_name(1), replica_name(2))
EVERYTHING = ("host", *CONTAINERS, "logs")


def parts(snapshot: Snapshot, *kept: str) -> Parts:
    """An answer as files: how it was asked and what clients met, and of the rest what is kept."""
    answer = encode(without_others(snapshot.answer))
    host, targets = answer.pop("host"), answer.pop("targets")
    answer.pop("version")
    found: Parts = {
        name: {name: answer.pop(name)} for name in ("clients", "handshakes") if answer.get(name)
    }
    found["run"] = answer
    found |= {name: {"targets": {name: target}} for name, target in targets.items()}
    found |= {"host": {"host": host}, "logs": {"logs": encode(dict(snapshot.logs))}}
    return {
        name: part
        for name, part in found.items()
        if name in kept or name in ("run", "clients", "handshakes")
    }


def probed(engine: Engine, stack: Stack) -> Snapshot:
    """What `probe` asks for, and so all that `verify` does."""
    users = load_secrets(stack.secrets_path).users
    return look(engine, stack, choice=Choice(users, arrivals=True, seconds=30.0))


def whole(engine: Engine, stack: Stack) -> Parts:
    """A stack that is as it should be, and its machine."""
    return parts(probed(engine, stack), *EVERYTHING)


def containers(engine: Engine, stack: Stack) -> Parts:
    """The same without the machine, which is that of bridge-unix."""
    return parts(probed(engine, stack), *CONTAINERS, "logs")


def counters(engine: Engine, stack: Stack) -> Parts:
    """What `diagnose` asks for: what the kernel and the containers count."""
    return parts(look(engine, stack, clients=False, counters=True), "host", replica_name(1))


def about(engine: Engine, _stack: Stack) -> Parts:
    """What the engine says of itself; of that, what `doctor` shows or judges."""
    known = (
        "OperatingSystem",
        "CgroupDriver",
        "SecurityOptions",
        "LiveRestoreEnabled",
        "PidsLimit",
    )
    info = {key: value for key, value in engine.info().items() if key in known}
    return {"engine": {"about": dict(engine.about), "info": info}}


def sessions(engine: Engine, stack: Stack) -> Parts:
    """HAProxy's list of sessions while a client is connected; the list's own is among them."""
    worker = look(engine, stack, clients=False).target(HAPROXY).process.pid
    admin = Admin(worker, "/run/haproxy/admin.sock", Deadline(10))
    with socket.create_connection(("127.0.0.1", stack.listen.port), 5) as client:
        # Too few bytes for a handshake: the replica waits for more.
        client.sendall(bytes(16))
        while True:
            text = admin.ask("show sess")
            if "srv=telemt-" in text:
                return {"sessions": {"sessions": text}}


def other_secret(engine: Engine, stack: Stack) -> Parts:
    """Handshakes with a secret that the replicas do not have."""
    choice = Choice({"user1": new_secret()}, seconds=30.0)
    return parts(look(engine, stack, choice=choice), *CONTAINERS)


def no_data_centre(engine: Engine, stack: Stack) -> Parts:
    """Handshakes while no data centre answers the replicas."""
    with stopped(engine, stack, "datacentre"):
        return parts(probed(engine, stack), *CONTAINERS)


def replica_ended(engine: Engine, stack: Stack) -> Parts:
    """A replica whose process ends after the engine named it and before it is read."""
    running = [c for c in engine.containers(stack.name) if c.pid]
    with stopped(engine, stack, replica_name(2)):
        answer = engine.collect(request_of(stack, running), stack.name)
    return parts(Snapshot.of(answer), replica_name(2))


@contextmanager
def stopped(engine: Engine, stack: Stack, target: str) -> Iterator[None]:
    """One container of the stack is stopped; afterwards it runs, and all are healthy again.

    Raises:
        EngineError: they are not within a minute.
    """
    container = engine.client.containers.get(f"stackctl-{stack.name}-{target}")
    container.stop(timeout=1)
    yield
    container.start()
    end = time.monotonic() + 60
    while sick := [c.target for c in engine.containers(stack.name) if c.health != "healthy"]:
        if time.monotonic() > end:
            raise EngineError(f"{', '.join(sick)}: not healthy again", "look at their logs")
        time.sleep(0.5)


@dataclass(frozen=True, slots=True)
class Case:
    """A folder of tests/captured.

    Attributes:
        stack: of STACKS, which it is captured from.
        capture: what the collector is asked, what is broken meanwhile, and what is kept.
    """

    stack: str
    capture: Callable[[Engine, Stack], Parts]


CASES = {
    "bridge-unix": Case("bridge-unix", whole),
    "counters": Case("bridge-unix", counters),
    "engine": Case("bridge-unix", about),
    "sessions": Case("bridge-unix", sessions),
    "other-secret": Case("bridge-unix", other_secret),
    "no-data-centre": Case("bridge-unix", no_data_centre),
    "replica-ended": Case("bridge-unix", replica_ended),
    "bridge-tcp": Case("bridge-tcp", containers),
    "host-tcp": Case("host-tcp", containers),
}


def main() -> None:
    """Capture the cases that are named, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--into", type=Path, default=CAPTURED)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    asked = parser.parse_args()
    if unknown := set(asked.cases) - set(CASES):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    chosen = {name: CASES[name] for name in asked.cases or CASES}
    engine = Engine.connect()
    for kind in dict.fromkeys(case.stack for case in chosen.values()):
        with running(kind) as stack:
            replaced = identity(look(engine, stack, clients=False).host)
            for name, case in chosen.items():
                if case.stack == kind:
                    write(asked.into / name, files(case.capture(engine, stack), stack, replaced))


def write(folder: Path, texts: dict[str, str]) -> None:
    """Replace what a case has by these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for name, text in texts.items():
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    sizes = ", ".join(f"{name} {len(text):,}" for name, text in texts.items())
    sys.stdout.write(f"{folder}: {sizes} bytes\n")


@contextmanager
def running(kind: str) -> Iterator[Stack]:
    """A stack in a folder of its own; it is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="stackctl-capture-") as folder:
        path = Path(folder) / "stack.yaml"
        path.write_text(STACK + STACKS[kind], encoding="utf-8")
        _stackctl("init", path, "--secrets-only")
        try:
            _stackctl("up", path)
            yield load(path)
        finally:
            _stackctl("down", path, "--volumes")


def _stackctl(command: str, path: Path, *words: str) -> None:
    argv = [sys.executable, "-m", "stackctl", command, *words, "--file", str(path)]
    subprocess.run(argv, check=True, stdout=sys.stderr)


def files(found: Parts, stack: Stack, replaced: Mapping[str, str]) -> dict[str, str]:
    """The text of each file, without what tells of this machine.

    Args:
        found: what was captured.
        stack: what it was captured from.
        replaced: what is replaced by what, as `identity` has it.

    Raises:
        ValueError: a secret or a path of this machine is in it.
    """
    secrets = load_secrets(stack.secrets_path)
    forbidden = {
        **{secret: f"the secret of {user}" for user, secret in secrets.users.items()},
        secrets.api: "the secret of the API",
        str(stack.secrets_path.parent): "the folder of the stack",
        str(ROOT): "the folder of the repository",
    }
    texts = {}
    for name, part in found.items():
        told = {"version": VERSION, **_anonymous(part, replaced)}
        text = json.dumps(told, indent=1, sort_keys=True) + "\n"
        for word, what in forbidden.items():
            if word in text:
                raise ValueError(f"{name}: {what} is in it")
        texts[name] = text
    return texts


def _anonymous(value: Any, replaced: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _anonymous(item, replaced) for key, item in value.items()}
    if isinstance(value, list):
        return [_anonymous(item, replaced) for item in value]
    if isinstance(value, str):
        for own, shown in replaced.items():
            value = re.sub(rf"(?<![\w.-]){re.escape(own)}(?![\w-])", shown, value)
    return value


def identity(host: Host) -> dict[str, str]:
    """The names by which anybody could find this machine, and what stands for each in a file."""
    found = {os.uname().nodename: "captured-host", host.kernel: re.split("[^0-9.]", host.kernel)[0]}
    if host.boot_id.value:
        found[host.boot_id.value.strip()] = "00000000-0000-4000-8000-000000000000"
    ways_out = [card for card in host.cards.value or () if card.default_route]
    own = [ipaddress.ip_interface(shown).ip for card in ways_out for shown in card.addresses]
    for nth, address in enumerate(own, start=1):
        found[str(address)] = f"192.0.2.{nth}" if address.version == 4 else f"2001:db8::{nth}"
    return found


def without_others(answer: Answer) -> Answer:
    """An answer without what others run on the machine and whom its limits files name."""
    host = answer.host.value
    haproxy = answer.request.haproxy
    if host is None or haproxy is None:
        return answer
    asked = answer.request.clients
    gateway = asked.published[0] if asked and asked.published else ""
    own = tuple(row for row in host.listening.value or () if row[1] == haproxy.port)
    cards = tuple(
        card
        for card in host.cards.value or ()
        if card.default_route or any(shown.startswith(f"{gateway}/") for shown in card.addresses)
    )
    proxies = tuple(
        proxy for proxy in host.engine.proxies if str(haproxy.port) in (proxy.arguments.value or ())
    )
    login = tuple(
        replace(text, value=_of_everyone(text.value)) if text.value else text for text in host.login
    )
    told = replace(
        host,
        listening=replace(host.listening, value=own),
        cards=replace(host.cards, value=cards),
        engine=replace(host.engine, proxies=proxies),
        login=login,
    )
    targets = {
        name: replace(reading, value=_own_listeners(reading.value, answer.request))
        if reading.value and reading.value.netns.value == host.netns
        else reading
        for name, reading in answer.targets.items()
    }
    return replace(answer, host=replace(answer.host, value=told), targets=targets)


def _own_listeners(target: Target, request: Request) -> Target:
    """A container on the host's network sees what all of the machine listen on."""
    port = request.haproxy.port if request.haproxy else 0
    nets = [ipaddress.ip_network(f"{one.api[0]}/24", strict=False) for one in request.replicas]
    tcp = tuple(
        row
        for row in target.listeners.tcp
        if row.owners
        or row.port == port
        or any(ipaddress.ip_address(row.address) in net for net in nets)
    )
    unix = tuple(row for row in target.listeners.unix if row.owners)
    return replace(target, listeners=replace(target.listeners, tcp=tcp, unix=unix))


def _of_everyone(text: str) -> str:
    lines = [
        line for line in text.splitlines(keepends=True) if line.split()[:1] in (["*"], ["root"])
    ]
    return "".join(lines)


if __name__ == "__main__":
    main()
