"""The double as a process: exit codes, signals, what it prints."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtpeer import Peer
from telemt_lab.__main__ import main

PATIENCE_S = 30
SECRET = "00112233445566778899aabbccddeeff"
PACKAGE = Path(__file__).parents[3] / "images" / "telemt-lab"


@pytest.fixture
def config(tmp_path: Path, centre) -> Path:
    path = tmp_path / "telemt.toml"
    path.write_text(
        f"""
        [general]
        data_path = "{tmp_path}/state"
        [server]
        listen_tcp = false
        listen_unix_sock = "s"
        unknown_thing = 1
        [server.api]
        enabled = false
        [access.users]
        alice = "{SECRET}"
        [censorship]
        tls_domain = "www.example.com"
        {centre.overrides()}
        """
    )
    return path


@pytest.fixture
def process(config: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "telemt_lab", str(config)]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as running:
        yield running
        running.kill()


def events(process: subprocess.Popen[str], until: str) -> list[dict[str, object]]:
    assert process.stdout is not None
    found = []
    for line in process.stdout:
        found.append(json.loads(line))
        if found[-1]["event"] == until:
            break
    return found


def test_a_life(process: subprocess.Popen[str], config: Path) -> None:
    warning, start = events(process, "start")
    assert "server.unknown_thing" in str(warning["message"])
    assert "lab double" in str(start["notice"])
    assert "not Telemt" in str(start["notice"])
    path = config.parent / "state" / "s"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_S)
        client.connect(str(path))
        peer = Peer(client, "tls", bytes.fromhex(SECRET), "www.example.com")
        peer.start()
        assert events(process, "handshake")[-1]["user"] == "alice"
        process.send_signal(signal.SIGHUP)
        assert "ignored" in str(events(process, "hangup")[-1]["message"])
        peer.req_pq()

        process.terminate()
        # The client stays; whoever drained it would wait for ever.
        assert client.recv(1) == b""
        assert process.wait(PATIENCE_S) == 0
    assert events(process, "stop")[-1] == {"event": "stop", "signal": "SIGTERM", "sessions": 1}
    assert not path.exists()


def test_out_of_descriptors_it_waits_and_goes_on(config: Path) -> None:
    argv = ["sh", "-c", 'ulimit -n 32; exec "$@"', "-", sys.executable, "-m", "telemt_lab"]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    with subprocess.Popen(
        [*argv, str(config)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            events(process, "start")
            path = str(config.parent / "state" / "s")
            clients = [socket.socket(socket.AF_UNIX) for _ in range(40)]
            for client in clients:
                client.connect(path)
            assert "Too many open files" in str(events(process, "error")[-1]["message"])
            for client in clients[:-1]:
                client.close()
            clients[-1].settimeout(PATIENCE_S)
            Peer(clients[-1], "tls", bytes.fromhex(SECRET), "www.example.com").greet()
            clients[-1].close()
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        finally:
            # Whatever failed: without this the end of the block would wait for ever.
            process.kill()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[general]\nconfig_strict = true\nconfig_stric = 1", "did you mean `config_strict`?"),
        ("[server]\nport = 0\nmax_connections = x", "not valid TOML"),
        ('[server]\nlisten_unix_sock = "/nowhere/s"\nlisten_tcp = false', "/nowhere/s"),
        ("[server]\nlisten_tcp = false", "no listener"),
        ('[general]\ndata_path = "/proc/nothing"', "data_path"),
    ],
)
def test_what_cannot_start_exits_1_with_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, named: str
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(text)
    assert main([str(path)]) == 1
    printed = capfd.readouterr().err
    assert named in printed
    assert printed.count("\n") == 1


def test_a_missing_config_exits_1(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "/nowhere/t.toml", "--log-level", "debug"]) == 1
    assert "/nowhere/t.toml" in capfd.readouterr().err


def test_version_and_help_say_double(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["--help"]) == 0
    out, err = capfd.readouterr()
    assert "3.4.25-double" in out
    assert "not Telemt" in out
    assert "not Telemt" in err
