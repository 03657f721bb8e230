"""What will hold after the next boot, by the files in the order they are read."""

from __future__ import annotations

import pytest

from .conftest import Host

KEY = "net.core.somaxconn"
OURS = "/etc/sysctl.d/99-zz-stackctl-edge.conf"


def at_boot(host: Host) -> str:
    """The evidence of check on KEY after `at boot`."""
    finding = host.run("check").findings[KEY]
    return finding.evidence.partition("; at boot ")[2]


def test_check_on_a_fresh_host_changes_nothing_and_says_why(full: Host) -> None:
    start = full.tree(mtimes=True)
    found = full.run("check")
    assert full.tree(mtimes=True) == start
    assert (found.code, found.keys("ok")) == (1, {"engine.nproc"})
    assert found.keys("short") == set(found.findings) - {"engine.nproc"}
    rows = {key: (row.got, row.evidence) for key, row in found.findings.items()}
    none = "at boot whatever the kernel gives: no file sets it"
    assert rows["net.core.somaxconn"] == ("4096", f"running 4096; {none}")
    assert rows["net.ipv4.tcp_syncookies"] == (
        "1",
        "running 1 holds now, but no file sets it at boot",
    )
    assert rows["net.netfilter.nf_conntrack_max"] == (
        "-",
        "this kernel has no such key; its module nf_conntrack is not loaded",
    )
    assert rows["login.nofile"][0] == "-"
    assert rows["engine.nofile"][0] == "524288"


@pytest.mark.parametrize("shell_order", ["later", "earlier"])
def test_etc_hides_run_hides_usr(host: Host, shell_order: str) -> None:
    places = ["usr/lib", "usr/local/lib", "run", "etc"]
    for number, place in enumerate(places):
        host.write(f"{place}/sysctl.d/50-a.conf", f"{KEY} = {100 + number}\n")
        assert at_boot(host) == f"{100 + number} from /{place}/sysctl.d/50-a.conf"
    name = "60-b.conf" if shell_order == "later" else "40-b.conf"
    host.write(f"usr/lib/sysctl.d/{name}", f"{KEY} = 7\n")
    winner = {
        "later": f"7 from /usr/lib/sysctl.d/{name}",
        "earlier": "103 from /etc/sysctl.d/50-a.conf",
    }
    assert at_boot(host) == winner[shell_order]


def test_a_mask_hides_the_file_below(dash: Host) -> None:
    dash.write("usr/lib/sysctl.d/50-a.conf", f"{KEY} = 7\n")
    dash.path("etc/sysctl.d/50-a.conf").symlink_to("/dev/null")
    assert at_boot(dash) == "whatever the kernel gives: no file sets it"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"-{KEY} = 7", "7"),
        ("net/core/somaxconn=7", "7"),
        (f"  {KEY}\t =\t 7  ", "7"),
        (f"# {KEY} = 8\n;{KEY} = 9\n{KEY} = 7\n # {KEY} = 6", "7"),
        (f"{KEY} = 8\n{KEY} = 7", "7"),
        (f"[Section]\n{KEY} = 7", "7"),
        (f"{KEY} = 0x10", "16"),
        (f"{KEY} = 010", "8"),
    ],
)
def test_how_a_line_is_read(dash: Host, text: str, value: str) -> None:
    dash.write("etc/sysctl.d/50-a.conf", text + "\n")
    assert at_boot(dash) == f"{value} from /etc/sysctl.d/50-a.conf"


def test_a_file_that_overrides_ours_is_named(host: Host) -> None:
    host.write("etc/sysctl.d/zzz.conf", f"{KEY} = 128\n")
    made = host.run("apply")
    assert (made.code, made.keys("short")) == (1, {KEY})
    row = made.findings[KEY]
    assert row.evidence == "running 65535 holds now, but at boot 128 from /etc/sysctl.d/zzz.conf"
    assert row.remedy == f"take {KEY} out of /etc/sysctl.d/zzz.conf, which overrides {OURS}"
    assert row.depth == "declared"


def test_a_value_that_the_next_boot_loses_is_short(dash: Host) -> None:
    assert dash.run("apply").code == 0
    dash.path(OURS).unlink()
    row = dash.run("check").findings[KEY]
    assert (row.verdict, row.got) == ("short", "65535")
    assert row.evidence == "running 65535 holds now, but no file sets it at boot"


def test_ufw_is_read_last(dash: Host) -> None:
    dash.write("etc/sysctl.d/zzz.conf", f"{KEY} = 8\n")
    dash.write("etc/ufw/sysctl.conf", "net/core/somaxconn=7\n")
    dash.write("etc/ufw/ufw.conf", "ENABLED=no\n")
    assert at_boot(dash) == "8 from /etc/sysctl.d/zzz.conf"
    dash.write("etc/ufw/ufw.conf", "ENABLED=yes\n")
    assert at_boot(dash) == "7 from /etc/ufw/sysctl.conf"
    dash.write("etc/default/ufw", "IPT_SYSCTL=/etc/ufw/other.conf\n")
    dash.write("etc/ufw/other.conf", "net/core/somaxconn=6\n")
    assert at_boot(dash) == "6 from /etc/ufw/other.conf"


def test_a_tuned_profile_counts_where_it_does_not_give_way(dash: Host) -> None:
    dash.write("etc/sysctl.d/50-a.conf", f"{KEY} = 64\n")
    dash.write("etc/tuned/active_profile", "mine\n")
    dash.write("etc/tuned/mine/tuned.conf", "[main]\ninclude=base\n[cpu]\nnet.core.somaxconn=1\n")
    base = "usr/lib/tuned/base/tuned.conf"
    dash.write(base, f"[sysctl]\n{KEY}=7\n")
    dash.write("etc/tuned/tuned-main.conf", "reapply_sysctl = 1\n")
    assert at_boot(dash) == "64 from /etc/sysctl.d/50-a.conf"
    dash.write("etc/tuned/tuned-main.conf", "reapply_sysctl = 0\n")
    assert at_boot(dash) == f"7 from /{base}"
    # With `>` a profile raises only.
    dash.write(base, f"[sysctl]\n{KEY}=>7\n")
    assert at_boot(dash) == "64 from /etc/sysctl.d/50-a.conf"
    dash.write(base, f"[sysctl]\n{KEY}=>128\n")
    assert at_boot(dash) == f"128 from /{base}"


def test_a_module_that_no_file_loads_comes_too_late(dash: Host) -> None:
    assert dash.run("apply").code == 0
    file = dash.path("etc/modules-load.d/stackctl-edge.conf")
    file.write_text(file.read_text().replace("nf_conntrack\n", ""))
    rows = dash.run("check")
    assert rows.keys("short") == {key for key in rows.findings if "nf_conntrack" in key}
    assert "is not loaded at boot" in rows.findings["net.netfilter.nf_conntrack_max"].evidence
    dash.write("usr/lib/modules-load.d/x.conf", "nf-conntrack\n")
    assert dash.run("check").code == 0
    dash.path("etc/modules-load.d/x.conf").symlink_to("/dev/null")
    assert dash.run("check").code == 1
