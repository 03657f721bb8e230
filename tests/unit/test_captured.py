"""Every captured file is one that the recorder writes, and of today's wire format."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest

from scripts import capture
from stackctl.collector.answer import VERSION, Answer, Card, DockerProxy, Host, Reading
from stackctl.collector.wire import WireError, decode, encode
from stackctl.engine.collector import parse_answer
from stackctl.spec import Stack, load, load_secrets
from stackctl.spec.secrets import new_api_secret, new_secret
from tests.unit import captured

FILES = sorted(path for path in captured.FOLDER.rglob("*") if path.is_file())
KINDS: dict[str, Any] = {
    **get_type_hints(Answer),
    "logs": dict[str, tuple[str, ...]],
    "sessions": str,
    "about": dict[str, Any],
    "info": dict[str, Any],
}
"""The type of each key of a file."""


def remedy(path: Path) -> str:
    """What to do about a file."""
    return f"{path.name}: write it anew: `make capture CASES={path.parent.name}`"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_is_of_todays_wire_format(path: Path) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found.pop("version", None) == VERSION, remedy(path)
    assert found
    for key, raw in found.items():
        assert key in KINDS, remedy(path)
        try:
            value = decode(KINDS[key], raw)
        except WireError as error:
            pytest.fail(f"{error}; {remedy(path)}")
        assert encode(value) == raw, remedy(path)


def test_every_case_has_its_folder_and_no_other_is_left() -> None:
    assert {path.parent.name for path in FILES} == set(capture.CASES), (
        "write them anew: `make capture`"
    )


@pytest.mark.parametrize(
    "case", [name for name in capture.CASES if name not in ("engine", "sessions")]
)
def test_the_parts_of_a_case_are_one_answer(case: str) -> None:
    raw = captured.answer(case)
    assert encode(parse_answer(json.dumps(raw).encode())) == raw


def test_a_file_is_small() -> None:
    assert {path.name: size for path in FILES if (size := path.stat().st_size) > 30_000} == {}


@pytest.fixture
def machine() -> Host:
    """The captured machine, as one that everybody could find."""
    host = decode(Host, captured.host())
    card = Card("eth0", True, True, ("10.0.0.5/24", "203.0.114.7/24", "2a00:1::7/64"), ())
    login = Reading(
        "# of alice\nalice - nofile 7\n* - nofile 9\n", path="/etc/security/limits.conf"
    )
    return replace(
        host,
        boot_id=Reading("5f0c3c9e-1111-2222-3333-444455556666\n"),
        cards=Reading((card,)),
        listening=Reading((("0.0.0.0", 22), ("0.0.0.0", 19443))),
        login=(login, Reading(error="ENOENT: none")),
    )


def test_what_tells_of_the_machine_is_replaced(
    machine: Host, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture.os, "uname", lambda: SimpleNamespace(nodename="lab"))
    others = "relabel lab-dc 1203.0.114.7 203.0.114.71"
    text = (
        f"{others}\nlab 203.0.114.7:5 ::ffff:203.0.114.7 2a00:1::7 10.0.0.5 {machine.boot_id.value}"
    )
    told = capture.files({"x": {"sessions": text}}, stack, capture.identity(machine))["x"]
    first, second = json.loads(told)["sessions"].splitlines()
    assert first == others
    zeros = "00000000-0000-4000-8000-000000000000"
    assert second == f"captured-host 192.0.2.2:5 ::ffff:192.0.2.2 2001:db8::3 192.0.2.1 {zeros}"


def test_what_others_run_and_whom_limits_name_is_left_out(machine: Host) -> None:
    answer = decode(Answer, captured.answer(captured.UNIX))
    engine = answer.host.get("host").engine
    other = DockerProxy(7, 1, Reading(("-host-port", "8443")), Reading("net:[1]"))
    machine = replace(machine, engine=replace(engine, proxies=(*engine.proxies, other)))
    told = capture.without_others(replace(answer, host=Reading(machine))).host.get("host")
    assert told.engine.proxies == engine.proxies
    assert told.listening.value == (("0.0.0.0", 19443),)
    assert [text.value for text in told.login] == ["* - nofile 9\n", None]


def test_of_the_hosts_network_only_the_stacks_listeners_are_kept(machine: Host) -> None:
    raw = captured.answer("host-tcp")
    own = raw["targets"]["haproxy"]["value"]["listeners"]
    kept = len(own["tcp"])
    assert kept
    own["tcp"].append({**own["tcp"][0], "address": "0.0.0.0", "port": 22, "owners": []})
    own["unix"].append({"inode": 1, "backlog": 5, "queue": 0, "path": "/run/other.sock"})
    answer = decode(Answer, raw)
    machine = replace(machine, netns=answer.targets["haproxy"].get("haproxy").netns.get("netns"))
    told = capture.without_others(replace(answer, host=Reading(machine))).targets["haproxy"]
    listeners = told.get("haproxy").listeners
    assert (len(listeners.tcp), listeners.unix) == (kept, ())


def test_a_secret_is_not_written(stack: Stack) -> None:
    secrets = load_secrets(stack.secrets_path)
    for text in (secrets.users["user1"], secrets.api, str(stack.secrets_path), str(capture.ROOT)):
        with pytest.raises(ValueError, match=r"x: the .* is in it") as caught:
            capture.files({"x": {"sessions": f"a{text}b"}}, stack, {})
        assert text not in str(caught.value)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A stack as cases are captured from, with secrets."""
    path = tmp_path / "stack.yaml"
    path.write_text(capture.STACK + capture.STACKS["bridge-unix"])
    secrets = f"api: {new_api_secret()}\nusers: {{user1: {new_secret()}}}\n"
    (tmp_path / "secrets.yaml").write_text(secrets)
    (tmp_path / "secrets.yaml").chmod(0o600)
    return load(path)
