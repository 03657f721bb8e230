"""prepare.sh as stackctl runs it: here and over ssh, with a stand-in script that answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackctl.errors import Exit, HostError, StackError
from stackctl.host import run

ANSWER = """\
printf 'note\\t%s\\n' "$*"
printf 'note\\t%s\\n' "$(cat "$(dirname "$0")/limits.tsv")"
printf 'end\\t0\\n'
"""
SSH = """#!/bin/sh
# Stands in for ssh: runs the command here, as a login shell would.
for last; do :; done
printf '%s\\n' "$@" >"$SSH_SAID"
exec sh -c "$last"
"""


def folder(script: str) -> dict[str, str]:
    return {"host/prepare.sh": script, "host/limits.tsv": "table"}


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH with an ssh of ours; returns where it writes its arguments."""
    (tmp_path / "ssh").write_text(SSH)
    (tmp_path / "ssh").chmod(0o755)
    said = tmp_path / "said"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SSH_SAID", str(said))
    return said


def test_here_the_script_has_its_folder_and_its_words() -> None:
    found = run("apply", folder(ANSWER), dry=True)
    assert found.notes == ("apply --porcelain --dry-run", "table")
    assert (found.host, found.command, found.dry) == ("this host", "apply", True)


def test_over_ssh_the_folder_is_sent_run_and_gone(ssh: Path, tmp_path: Path) -> None:
    answer = ANSWER + f'dirname "$0" >{tmp_path}/where\n'
    # What a script prints after its end is no report of ours.
    answer = answer.replace("printf 'end\\t0\\n'\n", "") + "printf 'end\\t0\\n'\n"
    found = run("check", folder(answer), "root@edge")
    assert found.notes == ("check --porcelain", "table")
    assert found.host == "root@edge"
    assert "root@edge" in ssh.read_text().splitlines()
    assert not Path((tmp_path / "where").read_text().strip()).exists()


def test_a_refusal_is_shown_in_the_scripts_words() -> None:
    refusing = "echo 'prepare.sh: /etc is full' >&2; echo '  do: make room' >&2; exit 2\n"
    with pytest.raises(StackError) as raised:
        run("apply", folder(refusing))
    assert raised.value.message == "this host: /etc is full"
    assert raised.value.remedy == "make room"
    assert raised.value.exit_code is Exit.USAGE


@pytest.mark.parametrize("status", [0, 1, 137])
def test_a_run_that_was_cut_off_is_no_report(status: int) -> None:
    with pytest.raises(HostError, match=r"ended with status|did not finish"):
        run("apply", folder(f"printf 'note\\thalf\\n'; exit {status}\n"))


def test_a_host_that_cannot_be_reached_is_status_3(ssh: Path) -> None:
    (ssh.parent / "ssh").write_text("#!/bin/sh\necho 'Connection refused' >&2\nexit 255\n")
    with pytest.raises(
        HostError, match="root@edge cannot be reached: Connection refused"
    ) as raised:
        run("check", folder(ANSWER), "root@edge")
    assert raised.value.exit_code is Exit.UNREACHABLE
    assert "ssh root@edge true" in raised.value.remedy


@pytest.mark.parametrize("where", ["-oProxyCommand=true", "a b", "$(id)", "root@edge;id"])
def test_a_destination_is_never_an_option_or_a_command(where: str) -> None:
    with pytest.raises(StackError, match="is not a destination"):
        run("check", folder(ANSWER), where)
