"""Root's shell in a machine. One ssh connection stays open, so that each command is quick."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HOST_NAME = "stackctl-vm"  # what known_hosts calls every machine: its port differs each time
CONNECT_SECONDS = 180
HUNG_SECONDS = 1800
"""No command in a machine takes so long, however busy this host is: whatever does, hangs."""


class CommandError(Exception):
    """A command in a machine failed, took too long, or could not be sent there."""


class Shell:
    """ssh to 127.0.0.1:port with a key and a pinned host key. Connects at the first use."""

    def __init__(self, port: int, key: Path, known_hosts: Path) -> None:
        # Short, since a unix socket's path ends at 107 bytes; and copies, since a cache is cleaned.
        self._folder = Path(tempfile.mkdtemp(prefix="stackctl-vm-"))
        self._socket = self._folder / "master"
        self._master: subprocess.Popen[bytes] | None = None
        shutil.copy(key, self._folder / "key")
        shutil.copy(known_hosts, self._folder / "known_hosts")
        (self._folder / "key").chmod(0o600)
        self._options = [
            *("-F", "none", "-p", str(port), "-l", "root"),
            *("-i", str(self._folder / "key"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
            *("-o", f"UserKnownHostsFile={self._folder / 'known_hosts'}"),
            *("-o", f"HostKeyAlias={HOST_NAME}", "-o", "StrictHostKeyChecking=yes"),
            *("-o", f"ConnectTimeout={CONNECT_SECONDS}", "-o", "LogLevel=ERROR"),
            *("-c", "aes128-gcm@openssh.com"),  # the cheapest to emulate
            *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=8"),
        ]

    def connect(self) -> None:
        """Open the connection if it is not open. CommandError if the machine refuses it."""
        if self._master is not None and self._master.poll() is None and self._socket.exists():
            return
        self.disconnect()
        with (self._folder / "log").open("wb") as log:
            self._master = subprocess.Popen(
                ["ssh", *self._options, "-M", "-N", "-S", str(self._socket), "127.0.0.1"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + CONNECT_SECONDS
        while not self._socket.exists():
            if self._master.poll() is not None or time.monotonic() > deadline:
                self.disconnect()
                said = (self._folder / "log").read_text(errors="replace").strip()
                raise CommandError(f"no ssh connection to the machine: {said or 'no answer'}")
            time.sleep(0.05)

    def disconnect(self) -> None:
        """Close the connection and its PAM session. The next command logs in again."""
        if self._master is not None:
            _end(self._master)
        self._master = None
        self._socket.unlink(missing_ok=True)

    def close(self) -> None:
        """Disconnect for good."""
        self.disconnect()
        shutil.rmtree(self._folder, ignore_errors=True)

    def argv(self, command: str) -> list[str]:
        """What runs `command` in root's login shell over the open connection."""
        return ["ssh", *self._options, "-S", str(self._socket), "127.0.0.1", command]

    def run(
        self,
        command: str,
        check: bool = True,
        timeout: float = HUNG_SECONDS,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line in the machine, with seconds to take.

        CommandError if it takes longer, or with `check` if its status is not 0.
        """
        self.connect()
        try:
            done = subprocess.run(
                self.argv(command),
                input=input or "",  # never the test's own stdin, which ssh would eat
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as e:
            raise CommandError(f"{command!r} in the machine: not done in {timeout} s") from e
        if check and done.returncode:
            what = f"{command!r} in the machine ended with {done.returncode}"
            raise CommandError(f"{what}\nstdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    def feed(self, producer: list[str], command: str) -> None:
        """Run a command in the machine on what a local one prints. CommandError if one fails."""
        self.connect()
        _pipe(producer, self.argv(command))

    def fetch(self, command: str, consumer: list[str]) -> None:
        """Run a local command on what one in the machine prints. CommandError if one fails."""
        self.connect()
        _pipe(self.argv(command), consumer)

    @contextmanager
    def forwarded(self, remote_socket: str) -> Iterator[Path]:
        """A local unix socket that leads to one in the machine; a connection of its own, which
        survives `disconnect` but not a reboot."""
        local = Path(tempfile.mkdtemp(prefix="stackctl-vm-")) / "socket"
        argv = ["ssh", *self._options, "-N", "-o", "ExitOnForwardFailure=yes"]
        process = subprocess.Popen(
            [*argv, "-L", f"{local}:{remote_socket}", "127.0.0.1"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + CONNECT_SECONDS
            while not local.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise CommandError(f"no way to {remote_socket} in the machine; ssh says why")
                time.sleep(0.05)
            yield local
        finally:
            _end(process)
            shutil.rmtree(local.parent, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _pipe(producer: list[str], consumer: list[str]) -> None:
    with tempfile.TemporaryFile() as said:
        first = subprocess.Popen(
            producer, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        )
        second = subprocess.Popen(
            consumer, stdin=first.stdout, stdout=subprocess.DEVNULL, stderr=said
        )
        assert first.stdout
        first.stdout.close()  # so that the producer hears when the consumer ends
        try:
            statuses = (second.wait(HUNG_SECONDS), first.wait(HUNG_SECONDS))
        except subprocess.TimeoutExpired as e:
            raise CommandError(f"{shlex.join(producer)} | …: not done in {HUNG_SECONDS} s") from e
        finally:
            for process in (second, first):
                with suppress(ProcessLookupError):
                    process.kill()
                process.wait()
        if statuses != (0, 0):
            said.seek(0)
            text = said.read().decode(errors="replace")
            line = f"{shlex.join(producer)} | {shlex.join(consumer)}"
            raise CommandError(f"{line}\nended with {statuses[::-1]}: {text}")
