"""The edge of `probe`: which handshakes it asks for, and when it exits with 0."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from stackctl.errors import EngineError, Exit, SpecError
from stackctl.handshake import stack as edge
from stackctl.handshake.stack_records import StackHandshake
from stackctl.observe.request import Choice
from stackctl.observe.snapshot import Snapshot
from stackctl.spec import Secrets, Stack
from tests.unit.observe.cases import snapshot_of

STACK = Stack.model_validate({"name": "lab", "connections": 8000, "replicas": 2})
USERS = {"alice": "0" * 32, "bob": "1" * 32}


def engine(*targets: str) -> Any:
    running = [
        SimpleNamespace(target=name, pid=7, labels={"io.stackctl.telemt": "double"})
        for name in targets
    ]
    return SimpleNamespace(containers=lambda _name: running)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, response: dict[str, Any]) -> Callable[..., list[Choice]]:
    """Has the collector answer what was captured; returns the choices it was given."""
    choices: list[Choice] = []

    def look(_engine: Any, _stack: Stack, *, choice: Choice) -> Snapshot:
        choices.append(choice)
        return snapshot_of(response)

    monkeypatch.setattr(edge, "look", look)
    monkeypatch.setattr(edge, "load_secrets", lambda _path: Secrets(USERS))
    monkeypatch.setattr(edge, "time", SimpleNamespace(time=lambda: response["began"]))
    return lambda: choices


def test_everything(asked: Callable[[], list[Choice]]) -> None:
    probed = edge.probe_stack(STACK, engine("haproxy", "telemt-1", "telemt-2"))
    (choice,) = asked()
    assert dict(choice.users) == USERS
    assert (choice.replicas, choice.published, choice.arrivals) == (None, True, True)
    assert choice.seconds > 10
    assert (probed.stack, probed.telemt, len(probed.handshakes)) == ("lab", "double", 6)
    assert (probed.exit_status, probed.clock) == (Exit.OK, None)


def test_there_is_time_for_every_handshake_to_wait_in_vain() -> None:
    # Three modes at one place: 3 s and two tries of 2 s; then a second for each of two users.
    assert edge._seconds(2, 3, 3) >= 3 * (3 + 2 + 2) + 2 * 3
    assert edge._seconds(2, 3, 64) > edge._seconds(2, 3, 32)
    assert edge._seconds(5000, 3, 201) == edge.LONGEST


def test_one_user_and_one_replica(asked: Callable[[], list[Choice]]) -> None:
    edge.probe_stack(STACK, engine("haproxy"), "bob", "telemt-2")
    (choice,) = asked()
    assert dict(choice.users) == {"bob": USERS["bob"]}
    assert choice.replicas == ("telemt-2",)
    assert not choice.published


@pytest.mark.parametrize(
    ("user", "replica", "key"), [("5a5a", "", "--user"), ("", "5a5a", "--replica")]
)
def test_who_is_not_there_is_not_repeated(
    asked: Callable[[], list[Choice]], user: str, replica: str, key: str
) -> None:
    with pytest.raises(SpecError) as caught:
        edge.probe_stack(STACK, engine("haproxy"), user, replica)
    assert caught.value.key == key
    assert "5a5a" not in str(caught.value)
    assert not asked()


def test_too_many(monkeypatch: pytest.MonkeyPatch, asked: Callable[[], list[Choice]]) -> None:
    many = {f"u{n}": f"{n:032x}" for n in range(4000)}
    monkeypatch.setattr(edge, "load_secrets", lambda _path: Secrets(many))
    with pytest.raises(SpecError, match="24000 handshakes, more than 20000"):
        edge.probe_stack(STACK, engine("haproxy"))
    edge.probe_stack(STACK, engine("haproxy"), replica="telemt-1")
    assert len(asked()) == 1


@pytest.mark.parametrize("targets", [(), ("telemt-1",)])
def test_nothing_runs(asked: Callable[[], list[Choice]], targets: tuple[str, ...]) -> None:
    with pytest.raises(EngineError) as caught:
        edge.probe_stack(STACK, engine(*targets))
    assert caught.value.exit_code == Exit.UNREACHABLE
    assert not asked()


def test_a_replica_that_does_not_run_is_named(
    asked: Callable[[], list[Choice]], response: dict[str, Any]
) -> None:
    del response["targets"]["telemt-2"]
    probed = edge.probe_stack(STACK, engine("haproxy", "telemt-1"), user="bob")
    gone = [one for one in probed.handshakes if one.seen == "it does not run"]
    assert [(one.place, one.user, one.mode, one.word) for one in gone] == [
        ("telemt-2", "bob", "secure", "down"),
        ("telemt-2", "bob", "tls", "down"),
    ]
    assert probed.exit_status == Exit.SHORT
    assert asked()


def test_a_probe_that_made_none_is_an_error(
    asked: Callable[[], list[Choice]], response: dict[str, Any]
) -> None:
    response["handshakes"] = {"error": "not done within 15 s"}
    with pytest.raises(EngineError, match="not done within 15 s"):
        edge.probe_stack(STACK, engine("haproxy"))
    assert asked()


GOOD = StackHandshake("telemt-1", "alice", "tls", (), "", "", "telemt-1", True, "", None)


@pytest.mark.parametrize(
    ("ahead", "words"), [(300.0, "300 s ahead of"), (-121.0, "121 s behind"), (119.0, "")]
)
def test_clocks_that_fake_tls_would_not_forgive(ahead: float, words: str) -> None:
    probed = edge.Probed("lab", "double", (GOOD,), ahead)
    assert (probed.exit_status == Exit.OK) == (not words)
    assert (words in probed.clock.because) if probed.clock else not words


def test_no_handshake_is_not_green() -> None:
    assert edge.Probed("lab", "double", ()).exit_status == Exit.SHORT


def test_the_clock_is_compared_with_this_machines(
    asked: Callable[[], list[Choice]], response: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "time", SimpleNamespace(time=lambda: response["began"] - 500))
    probed = edge.probe_stack(STACK, engine("haproxy"))
    assert probed.ahead == pytest.approx(500)
    assert probed.exit_status == Exit.SHORT
    assert asked()
