"""rollback: what is still as apply left it goes back; the rest is left and named."""

from __future__ import annotations

from .conftest import Host

SYSCTL_D = "etc/sysctl.d/99-zz-stackctl-edge.conf"


def test_what_somebody_changed_since_is_left_and_named(host: Host) -> None:
    assert host.run("apply").code == 0
    host.sysctl("net.core.somaxconn", "70000")
    host.write(SYSCTL_D, "# mine now\n")
    back = host.run("rollback")
    assert back.code == 1
    assert back.keys("short") == set(back.findings) == {"net.core.somaxconn", f"/{SYSCTL_D}"}
    assert "70000" in back.findings["net.core.somaxconn"].evidence
    assert host.sysctl("net.core.somaxconn") == "70000"
    assert host.path(SYSCTL_D).read_text() == "# mine now\n"
    assert host.sysctl("net.core.rmem_max") == "212992"
    assert not host.path("var/lib/stackctl").exists()


def test_a_file_that_was_there_comes_back_with_its_mode(dash: Host) -> None:
    dash.write(SYSCTL_D, "net.core.somaxconn = 99\n", 0o600)
    dash.path("etc/modules-load.d/stackctl-edge.conf").symlink_to("elsewhere.conf")
    start = dash.tree()
    assert dash.run("apply").code == 0
    assert not dash.path("etc/modules-load.d/stackctl-edge.conf").is_symlink()
    assert dash.run("rollback").code == 0
    assert dash.tree() == start


def test_files_copied_there_by_hand_come_back_after_another_wish(dash: Host) -> None:
    folder = dash.render()
    for file in (folder / "etc").rglob("*.conf"):
        dash.write(str(file.relative_to(folder)), file.read_text(), 0o600)
    start = dash.tree()
    assert dash.run("apply").code == 0
    dash.render("edge", **{"net.core.somaxconn": 200000})
    assert dash.run("apply").code == 0
    assert dash.boot()["net.core.somaxconn"] == "200000"
    assert dash.run("rollback").code == 0
    assert dash.tree() == start


def test_an_edited_file_is_kept_aside_when_apply_writes_it_again(dash: Host) -> None:
    assert dash.run("apply").code == 0
    dash.write(SYSCTL_D, "# mine\n")
    again = dash.run("apply")
    assert [f"write /{SYSCTL_D}"] == again.changes
    kept = dash.path("var/lib/stackctl/host/files").glob("*.edited")
    assert [file.read_text() for file in kept] == ["# mine\n"]


def test_a_folder_somebody_uses_by_now_stays(dash: Host) -> None:
    assert dash.run("apply").code == 0
    dash.write("etc/systemd/system/docker.service.d/mine.conf", "[Service]\n")
    assert dash.run("rollback").code == 0
    assert not dash.path("var/lib/stackctl").exists()
    folder = dash.path("etc/systemd/system/docker.service.d")
    assert [file.name for file in folder.iterdir()] == ["mine.conf"]


def test_a_value_that_was_noted_and_then_lowered_by_hand_comes_back_as_it_was(dash: Host) -> None:
    dash.sysctl("net.core.somaxconn", "70000")
    assert dash.run("apply").code == 0
    dash.sysctl("net.core.somaxconn", "300")
    assert dash.run("apply").code == 0
    assert dash.run("rollback").code == 0
    assert dash.sysctl("net.core.somaxconn") == "300"


def test_one_missing_item_is_named(dash: Host) -> None:
    assert dash.run("apply").code == 0
    dash.path("var/lib/stackctl/host/before/sysctl/net.core.somaxconn").unlink()
    back = dash.run("rollback")
    assert (back.code, back.keys("short")) == (1, {"net.core.somaxconn"})
    assert "its record is gone" in back.findings["net.core.somaxconn"].evidence
    assert dash.sysctl("net.core.somaxconn") == "65535"
    assert dash.sysctl("net.core.rmem_max") == "212992"
