"""`up` again: nothing changes without a reason, and every change reaches the live processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .command import rewrite
from .conftest import MakeLab, leftovers, started
from .lab import Lab, stackctl

TARGETS = ("haproxy", "telemt-1", "telemt-2")


@pytest.fixture(scope="module")
def lab(make_shared: MakeLab) -> Lab:
    """A running lab of this module's own: its tests change it."""
    return started(make_shared())


def identities(lab: Lab) -> dict[str, tuple[str, str]]:
    """Container id and start time of each target: both the same means untouched."""
    found = {target: lab.container(target) for target in TARGETS}
    return {t: (c.id or "", c.attrs["State"]["StartedAt"]) for t, c in found.items()}


def test_up_twice_touches_nothing(lab: Lab) -> None:
    before = identities(lab)
    started(lab)
    assert identities(lab) == before


def test_more_connections_recreate_what_carries_them(lab: Lab) -> None:
    before = identities(lab)
    rewrite(lab, connections=2500)
    # Until then the live stack is short of the file, and verify says so.
    short = {limit for limit, _, verdict in lab.wrong() if verdict == "short"}
    assert {"haproxy.maxconn", "haproxy.frontend_maxconn", "telemt.max_connections"} <= short
    started(lab)
    after = identities(lab)
    assert {t for t in TARGETS if after[t][0] != before[t][0]} == set(TARGETS)
    assert "\nMaxconn: 2564\n" in lab.admin("show info")


def test_a_change_for_haproxy_alone_leaves_the_replicas_running(lab: Lab) -> None:
    before = identities(lab)
    rewrite(lab, threads=3)
    started(lab)
    after = identities(lab)
    assert {t for t in TARGETS if after[t] != before[t]} == {"haproxy"}
    assert "\nNbthread: 3\n" in lab.admin("show info")


def test_new_users_reach_the_replicas_and_leave_haproxy_running(lab: Lab) -> None:
    before = identities(lab)
    secrets = lab.folder / "secrets.yaml"
    secret = "0123456789abcdef" * 2
    secrets.write_text(secrets.read_text().replace("users:\n", f'users:\n  second: "{secret}"\n'))
    started(lab)
    after = identities(lab)
    assert after["haproxy"] == before["haproxy"]
    for target in TARGETS[1:]:
        assert after[target] != before[target], "it read its users at its start"
        inside = Path(f"/proc/{lab.pid(target)}/root/run/telemt-users/users.toml")
        assert f'second = "{secret}"' in inside.read_text()


def test_one_replica_more_and_one_fewer(lab: Lab) -> None:
    before = identities(lab)
    rewrite(lab, replicas=3)
    started(lab)
    assert lab.container("telemt-3").status == "running"
    rewrite(lab, replicas=2)
    started(lab)
    assert set(identities(lab)) == set(before)
    assert f"container stackctl-{lab.name}-telemt-3" not in leftovers(lab.name)
    assert not (lab.rendered / "telemt/telemt-3").exists()


def test_state_outlives_a_new_container_and_down(lab: Lab) -> None:
    """Quotas must not start again when a setting changes or the stack was down."""

    def kept(target: str) -> Path:
        return Path(f"/proc/{lab.pid(target)}/root/home/nonroot/left-by-a-test")

    # As Telemt's own user: the volume has to be that user's.
    lab.as_target("telemt", "touch", str(kept("telemt-1")))
    before = identities(lab)
    assert lab.run("down").returncode == 0
    started(lab)
    assert identities(lab)["telemt-1"] != before["telemt-1"]
    assert kept("telemt-1").exists()
    assert not kept("telemt-2").exists()


def test_down_takes_all_but_the_state_away_and_says_so_once(lab: Lab) -> None:
    done = lab.run("down")
    assert done.returncode == 0, done.stderr
    for target in (*TARGETS, "datacentre"):
        assert f"removed container stackctl-{lab.name}-{target}\n" in done.stdout
    # Also the state of the third one, which ran for a while: it may come back.
    state = [f"volume stackctl-{lab.name}_telemt-{n}-state" for n in (1, 2, 3)]
    assert sorted(leftovers(lab.name)) == state
    done = lab.run("down", "--volumes")
    assert sorted(done.stdout.splitlines()) == [f"removed {volume}" for volume in state]
    assert leftovers(lab.name) == []
    again = lab.run("down")
    assert (again.returncode, again.stdout) == (0, f"{lab.name}: nothing was running\n")


def test_down_needs_no_rendered_folder(make_lab: MakeLab, tmp_path: Path) -> None:
    """The folder may be gone: what is removed is found by its label."""
    made = started(make_lab())
    made.rendered.rename(tmp_path / "away")
    assert stackctl("down", "--volumes", cwd=made.folder).returncode == 0
    assert leftovers(made.name) == []
