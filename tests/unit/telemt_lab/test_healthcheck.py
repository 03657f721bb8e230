import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemt_lab.__main__ import main
from telemt_lab.healthcheck import UnhealthyError, judge


def reply(payload: object, status: int = 200) -> bytes:
    return f"HTTP/1.1 {status} X\r\na: b\r\n\r\n{json.dumps(payload)}".encode()


def test_both_modes_against_a_running_double(lab, capsys) -> None:
    running = lab(api='auth_header = "x"')
    path = str(running.config_path)
    assert main(["healthcheck", path]) == 0
    assert main(["healthcheck", path, "--mode", "liveness"]) == 0
    assert main(["healthcheck", path, "--mode=ready"]) == 0
    assert capsys.readouterr().err == ""


def test_not_ready_is_1_while_liveness_is_0(lab, capsys) -> None:
    running = lab(extra='[[upstreams]]\ntype = "direct"\nenabled = false')
    path = str(running.config_path)
    assert main(["healthcheck", path, "--mode", "ready"]) == 1
    assert "503" in capsys.readouterr().err
    assert main(["healthcheck", path, "--mode", "liveness"]) == 0


def test_nobody_there_is_1(tmp_path, unused_host, capsys) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f'[server.api]\nlisten = "{unused_host}:9091"')
    assert main(["healthcheck", str(path)]) == 1
    assert f"{unused_host}:9091" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("listen", "target"), [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1")]
)
def test_a_wildcard_address_is_asked_on_loopback(
    tmp_path, capsys, listen: str, target: str
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f'[server.api]\nlisten = "{listen}"')
    assert main(["healthcheck", str(path)]) == 1
    assert target in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[server.api]\nenabled = false", 0),
        ('[server.api]\nlisten = "127.0.0.1:0"', 1),
        ("broken", 1),
    ],
)
def test_without_a_connection(tmp_path, text: str, code: int) -> None:
    path = tmp_path / "t.toml"
    path.write_text(text)
    assert main(["healthcheck", str(path)]) == code


@pytest.mark.parametrize("mode", [["--mode", "alive"], ["--mode"], ["--mode="]])
def test_an_unknown_mode_is_2(mode: list[str], capsys) -> None:
    assert main(["healthcheck", "nowhere.toml", *mode]) == 2
    assert "liveness, ready" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mode", "payload"),
    [
        ("liveness", {"ok": False, "data": {"status": "ok"}}),
        ("liveness", {"ok": True, "data": {"status": "bad"}}),
        ("liveness", {"ok": True}),
        ("ready", {"ok": True, "data": {"ready": False}}),
        ("ready", {"ok": True, "data": {"ready": "yes"}}),
        ("ready", []),
    ],
)
def test_an_answer_that_does_not_say_healthy(mode: str, payload: object) -> None:
    with pytest.raises(UnhealthyError):
        judge(mode, reply(payload))


@given(st.binary())
def test_no_garbage_is_healthy(garbage: bytes) -> None:
    for raw in (garbage, b"HTTP/1.1 200 OK\r\n\r\n" + garbage):
        with pytest.raises(UnhealthyError):
            judge("liveness", raw)
