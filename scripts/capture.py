"""Writes tests/captured/*.json: the collector's answers of live stacks, one file for each case.

    scripts/capture.py [--into FOLDER] [CASE ...]

It starts the stacks itself and removes them again. A file has the answer and what the replicas
logged meanwhile. Neither has secrets; the machine's own name and public addresses are replaced.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stackctl.collector.wire import encode
from stackctl.engine import Engine
from stackctl.observe.look import look
from stackctl.observe.request import Choice
from stackctl.observe.snapshot import Snapshot
from stackctl.spec import Stack, load, load_secrets

CAPTURED = Path(__file__).parents[1] / "tests" / "captured"

STACK = """\
name: {name}
connections: 600
replicas: 2
network: bridge
link: {link}
listen: 19443
limits: {{mode: fit}}
haproxy: {{source: auto, version: "3.0"}}
telemt:
  source: double
  version: 3.4.25
  domain: www.example.com
  public_host: 127.0.0.1
  modes: [classic, secure, tls]
  datacentre: lab
secrets: secrets.yaml
"""

Look = Callable[[Engine, Stack], Snapshot]


def verified(engine: Engine, stack: Stack) -> Snapshot:
    """What `verify` asks for."""
    return look(engine, stack)


def probed(engine: Engine, stack: Stack) -> Snapshot:
    """What `probe` asks for."""
    users = load_secrets(stack.secrets_path).users
    return look(engine, stack, choice=Choice(users, arrivals=True, seconds=30.0))


def counted(engine: Engine, stack: Stack) -> Snapshot:
    """What `diagnose` asks for."""
    return look(engine, stack, clients=False, counters=True)


def without(target: str, then: Look) -> Look:
    """A look while one container of the stack is stopped."""

    def run(engine: Engine, stack: Stack) -> Snapshot:
        (container,) = engine.client.containers.list(
            filters={"name": f"^stackctl-{stack.name}-{target}$"}
        )
        container.stop(timeout=1)
        try:
            return then(engine, stack)
        finally:
            _stackctl("up", stack.secrets_path.with_name("stack.yaml"))

    return run


@dataclass(frozen=True, slots=True)
class Case:
    """A file of tests/captured.

    Attributes:
        link: the link of the stack that it is captured from.
        look: makes the snapshot, and breaks something for that time.
    """

    link: str
    look: Look


CASES = {
    "bridge-unix": Case("unix", verified),
    "handshakes": Case("unix", probed),
    "counters": Case("unix", counted),
    "handshakes-no-data-centre": Case("unix", without("datacentre", probed)),
    "replica-stopped": Case("unix", without("telemt-2", verified)),
    "bridge-tcp": Case("tcp", verified),
    "handshakes-tcp": Case("tcp", probed),
}


def main() -> None:
    """Capture the named cases, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--into", type=Path, default=CAPTURED)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    asked = parser.parse_args()
    if unknown := set(asked.cases) - set(CASES):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    chosen = {name: CASES[name] for name in asked.cases or CASES}
    asked.into.mkdir(parents=True, exist_ok=True)
    engine = Engine.connect()
    for link in dict.fromkeys(case.link for case in chosen.values()):
        with running(link) as stack:
            for name, case in chosen.items():
                if case.link == link:
                    text = told(case.look(engine, stack), stack)
                    (asked.into / f"{name}.json").write_text(text, encoding="utf-8")
                    sys.stdout.write(f"{asked.into / name}.json: {len(text)} bytes\n")


@contextmanager
def running(link: str) -> Iterator[Stack]:
    """A stack of two replicas in a folder of its own; it is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="stackctl-capture-") as folder:
        path = Path(folder) / "stack.yaml"
        path.write_text(STACK.format(name="captured", link=link), encoding="utf-8")
        _stackctl("init", path, "--secrets-only")
        try:
            _stackctl("up", path)
            yield load(path)
        finally:
            _stackctl("down", path, "--volumes")


def _stackctl(command: str, path: Path, *words: str) -> None:
    argv = [sys.executable, "-m", "stackctl", command, *words, "--file", str(path)]
    subprocess.run(argv, check=True, stdout=sys.stderr)


def told(snapshot: Snapshot, stack: Stack) -> str:
    """The file's text.

    Raises:
        ValueError: a secret is in it.
    """
    whole = {"answer": encode(snapshot.answer), "logs": encode(dict(snapshot.logs))}
    text = json.dumps(whole, indent=1, sort_keys=True) + "\n"
    text = text.replace(os.uname().nodename, "captured-host")
    for own, shown in public_addresses(snapshot).items():
        text = text.replace(own, shown)
    secrets = load_secrets(stack.secrets_path)
    if leaked := sorted(user for user, secret in secrets.users.items() if secret in text):
        raise ValueError(f"the answer has the secrets of {', '.join(leaked)}")
    return text


def public_addresses(snapshot: Snapshot) -> dict[str, str]:
    """The machine's public addresses, and what replaces each in the file."""
    found: dict[str, str] = {}
    for card in snapshot.host.cards.value or ():
        for shown in card.addresses:
            address = ipaddress.ip_interface(shown).ip
            if address.is_global:
                place = "192.0.2." if address.version == 4 else "2001:db8::"
                found.setdefault(str(address), f"{place}{len(found) + 1}")
    return found


if __name__ == "__main__":
    main()
