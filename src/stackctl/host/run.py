"""The edge: prepare.sh run on this machine, or sent over ssh and run there."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from stackctl.errors import Exit, HostError, StackError
from stackctl.host.report import HostReport, read_report

HERE = "this host"

CONNECT_SECONDS = 15
"""How long ssh may take to reach a host."""

SSH_FAILED = 255
"""Exit status of ssh itself; prepare.sh ends with a smaller one."""

# One connection: the folder arrives on standard input, its script runs, and the folder is removed.
_REMOTE = """set -e
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
tar -xf - -C "$d"
root=
if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null 2>&1; then root="sudo -n"; fi
set +e
$root sh "$d/host/prepare.sh" {words} </dev/null
exit $?
"""


def run(command: str, files: Mapping[str, str], ssh: str = "", *, dry: bool = False) -> HostReport:
    """Run prepare.sh and read its report.

    Args:
        command: check, apply or rollback.
        files: host/ as rendered, by path relative to the render's folder.
        ssh: where to run it, as ssh spells it (`root@server`, `ssh://root@server:2222`); empty
            for this machine.
        dry: only say what would be done.

    Raises:
        HostError: the host could not be reached, or the run was cut off.
        StackError: prepare.sh refused, and changed nothing; the message is its own.
    """
    words = [command, "--porcelain", *(["--dry-run"] if dry else [])]
    if ssh:
        done = _remote(ssh, words, files)
        host = ssh
    else:
        done = _local(words, files)
        host = HERE
    if ssh and done.returncode == SSH_FAILED:
        raise HostError(
            f"{ssh} cannot be reached: {_last(done.stderr)}",
            f"try `ssh {ssh} true`; the host's key must be known here, and yours accepted there",
        )
    if done.returncode == Exit.USAGE:
        raise _refusal(done.stderr, command, host)
    if done.returncode not in {Exit.OK, Exit.SHORT} or "\nend\t" not in f"\n{done.stdout}":
        raise HostError(
            f"{command} on {host} ended with status {done.returncode}: "
            f"{_last(done.stderr) or _last(done.stdout) or 'it printed nothing'}",
            "run the same command again: it goes on where it stopped",
        )
    return read_report(done.stdout, host, command, dry)


def _local(words: Sequence[str], files: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="stackctl-host-") as folder:
        for path, text in files.items():
            file = Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return subprocess.run(
            ["sh", f"{folder}/host/prepare.sh", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )


def _remote(
    ssh: str, words: Sequence[str], files: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    if not re.fullmatch(r"(ssh://)?[A-Za-z0-9_][A-Za-z0-9_.@:%\[\]-]*", ssh):
        raise StackError(f"--ssh: {ssh!r} is not a destination", "give user@host, as ssh takes it")
    try:
        done = subprocess.run(
            ["ssh", "-o", f"ConnectTimeout={CONNECT_SECONDS}", ssh, _remote_command(words)],
            input=_tar(files),
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise HostError("ssh is not installed here", "install openssh-client") from error
    return subprocess.CompletedProcess(
        done.args,
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
    )


def _remote_command(words: Sequence[str]) -> str:
    # One argument: ssh hands it to the login shell there, which starts sh, whatever shell it is.
    return shlex.join(["sh", "-c", _REMOTE.replace("{words}", " ".join(words))])


def _tar(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, text in files.items():
            data = text.encode()
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _refusal(stderr: str, command: str, host: str) -> StackError:
    """prepare.sh's own message and remedy."""
    message = re.search(r"^prepare\.sh: (.*)$", stderr, re.MULTILINE)
    remedy = re.search(r"^  do: (.*)$", stderr, re.MULTILINE)
    if not message:
        return HostError(f"{command} on {host}: {_last(stderr)}", "read the message above")
    return StackError(f"{host}: {message[1]}", remedy[1] if remedy else "")


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
