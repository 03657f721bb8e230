"""apply: what is short is set, what is more is kept, and a second time there is nothing to do."""

from __future__ import annotations

import pytest

from .conftest import DEFAULTS, Host

FOREVER = "9223372036854775807"


def test_everything_comes_to_hold_and_goes_back_again(full: Host) -> None:
    start = full.tree()
    made = full.run("apply")
    assert made.unmet() == []
    assert (made.code, made.err) == (0, "")
    assert made.keys("kept") == {"fs.file-max", "net.ipv4.tcp_rmem", "engine.nproc"}
    assert made.keys("ok") == set(made.findings) - made.keys("kept")
    assert set(made.findings) == full.wanted()
    assert len(made.findings) >= 29
    for key, text in full.boot().items():
        assert full.sysctl(key) == text
    assert full.boot()["fs.file-max"] == FOREVER
    assert full.boot()["net.ipv4.tcp_rmem"] == "4096 131072 33554432"
    limits = full.path("proc/500/limits").read_text()
    assert "Max open files 1048576 1048576" in limits

    tree = full.tree(mtimes=True)
    again = full.run("apply")
    assert (again.code, again.changes, again.notes) == (0, [], ["nothing to change"])
    assert again.findings.keys() == made.findings.keys()
    assert again.keys("kept") == made.keys("kept")
    assert full.tree(mtimes=True) == tree
    assert full.run("check").code == 0
    assert full.tree(mtimes=True) == tree

    back = full.run("rollback")
    assert (back.code, back.findings, back.err) == (0, {}, "")
    assert full.tree() == start


def test_a_dry_run_says_the_same_and_does_nothing(dash: Host) -> None:
    start = dash.tree(mtimes=True)
    said = dash.run("apply", "--dry-run")
    assert dash.tree(mtimes=True) == start
    assert said.code == 0
    # The keys of nf_conntrack are there once it is loaded; before, nothing can be said of them.
    done = [line for line in dash.run("apply").changes if "nf_conntrack_" not in line]
    assert said.changes == done
    tree = dash.tree(mtimes=True)
    assert dash.run("rollback", "--dry-run").code == 0
    assert dash.tree(mtimes=True) == tree


MORE = {
    "net.core.somaxconn": "1000000",
    "net.core.rmem_max": FOREVER,
    "net.ipv4.ip_local_port_range": "1024 65535",
    "net.ipv4.tcp_wmem": "8192 16384 67108864",
}


def test_nothing_is_lowered(dash: Host) -> None:
    for key, value in MORE.items():
        dash.sysctl(key, value)
    # Wanted by the admin from the next boot on, and not running yet.
    dash.write("etc/sysctl.d/50-admin.conf", "net.core.netdev_max_backlog = 250000\n")
    dash.write(
        "etc/systemd/system/docker.service.d/limits.conf", "[Service]\nLimitNOFILE=infinity\n"
    )
    dash.write(
        "etc/security/limits.d/90-admin.conf", "root - nofile 3000000\n* hard nofile 2000000\n"
    )
    made = dash.run("apply")
    assert made.code == 0
    merged = {**MORE, "net.ipv4.tcp_wmem": "8192 65536 67108864"}
    for key, value in merged.items():
        assert (key, dash.sysctl(key), dash.boot()[key]) == (key, value, value)
    assert dash.boot()["net.core.netdev_max_backlog"] == "250000"
    assert dash.sysctl("net.core.netdev_max_backlog") == "65535"
    drop_in = "etc/systemd/system/docker.service.d/99-zz-stackctl-edge.conf"
    assert "\nLimitNOFILE=infinity\n" in dash.path(drop_in).read_text()
    logins = dash.path("etc/security/limits.d/99-stackctl-edge.conf").read_text()
    assert logins.splitlines()[-4:] == [
        "* soft nofile 1048576",
        "* hard nofile 2000000",
        "root soft nofile 3000000",
        "root hard nofile 3000000",
    ]
    assert set(MORE) - {"net.ipv4.tcp_wmem"} <= made.keys("kept")


def test_a_unit_keeps_what_it_had_when_apply_is_repeated(dash: Host) -> None:
    dash.write(
        "etc/systemd/system/docker.service.d/limits.conf", "[Service]\nLimitNOFILE=3000000\n"
    )
    assert dash.run("apply").code == 0
    assert dash.run("apply").notes == ["nothing to change"]
    drop_in = "etc/systemd/system/docker.service.d/99-zz-stackctl-edge.conf"
    assert "\nLimitNOFILE=3000000\n" in dash.path(drop_in).read_text()


@pytest.mark.parametrize("key", ["net.core.somaxconn", "fs.nr_open"])
def test_an_unknown_key_is_short_and_the_rest_goes_on(dash: Host, key: str) -> None:
    dash.path("proc/sys/" + key.replace(".", "/")).unlink()
    made = dash.run("apply")
    assert (made.code, made.keys("short")) == (1, {key})
    assert made.findings[key].evidence == "this kernel has no such key"
    assert dash.run("rollback").code == 0
    assert {
        k for k in DEFAULTS if k != key and dash.sysctl(k) != " ".join(DEFAULTS[k].split())
    } == set()


def test_a_module_this_kernel_lacks_is_the_reason(dash: Host) -> None:
    dash.path("lib/modules/sch_fq.keys").unlink()
    made = dash.run("apply")
    assert (made.code, made.keys("short")) == (1, {"net.core.default_qdisc"})
    assert "sch_fq not found" in made.findings["net.core.default_qdisc"].evidence


def test_a_value_nobody_may_write_is_the_reason(dash: Host) -> None:
    # A folder in its place: no user, root included, can write it, and it cannot be read.
    file = dash.path("proc/sys/net/core/somaxconn")
    file.unlink()
    file.mkdir()
    made = dash.run("apply")
    assert (made.code, made.keys("short")) == (1, {"net.core.somaxconn"})
    assert made.findings["net.core.somaxconn"].evidence == "it cannot be read"
