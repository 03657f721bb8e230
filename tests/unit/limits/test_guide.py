"""Every value of Telemt's high-load guide, written out once more, against the limits table."""

from __future__ import annotations

import pytest

from stackctl.limits import INFINITY, TABLE, Compare, Place

GUIDE = {
    # 1. Descriptors
    "fs.file-max": "2097152",
    "fs.nr_open": "2097152",
    "login.nofile": "* and root: soft and hard 1048576",
    "engine.nofile": "LimitNOFILE=1048576",
    "engine.nproc": "LimitNPROC=65535",
    "engine.tasks": "TasksMax=infinity",
    "nofile": "soft and hard 1048576",
    "nproc": "65535",
    "pids": "TasksMax=infinity",
    # 2. Network stack
    "net.core.somaxconn": "65535",
    "net.core.netdev_max_backlog": "65535",
    "net.ipv4.tcp_max_syn_backlog": "65535",
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv4.ip_local_port_range": "10000 65535",
    "net.ipv4.tcp_fin_timeout": "15",
    "net.ipv4.tcp_tw_reuse": "1",
    "net.ipv4.tcp_max_tw_buckets": "2000000",
    "net.ipv4.tcp_keepalive_time": "300",
    "net.ipv4.tcp_keepalive_intvl": "30",
    "net.ipv4.tcp_keepalive_probes": "5",
    "net.core.rmem_default": "262144",
    "net.core.wmem_default": "262144",
    "net.core.rmem_max": "16777216",
    "net.core.wmem_max": "16777216",
    "net.ipv4.tcp_rmem": "4096 87380 16777216",
    "net.ipv4.tcp_wmem": "4096 65536 16777216",
    "net.core.default_qdisc": "fq",
    "net.ipv4.tcp_congestion_control": "bbr",
    # 3. Conntrack
    "net.netfilter.nf_conntrack_max": "2097152",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "3600",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait": "12",
    # 4. HAProxy in front
    "haproxy.maxconn": "commented out",
    "haproxy.bufsize": "16384",
    "haproxy.maxaccept": "64",
    "haproxy.frontend_maxconn": "250000",
    "haproxy.timeout.connect": "5s",
    "haproxy.timeout.client": "1h",
    "haproxy.timeout.server": "1h",
    "haproxy.timeout.client-fin": "10s",
    "haproxy.timeout.server-fin": "10s",
    **{f"haproxy.clitcpka_{part}": "option clitcpka" for part in ("idle", "intvl", "cnt")},
    **{f"haproxy.srvtcpka_{part}": "option srvtcpka" for part in ("idle", "intvl", "cnt")},
    "haproxy.server_maxconn": "250000",
    "haproxy.check_inter": "5s",
    "haproxy.check": "check",
    "haproxy.proxy_protocol": "send-proxy-v2",
}

DELIVERED = {
    "net.ipv4.tcp_rmem": (4096, 131072, 16777216),
    "engine.tasks": INFINITY,
    "login.nofile": (1048576, 1048576),
    "engine.nofile": 1048576,
    "engine.nproc": 65535,
    "nofile": (1048576, 1048576),
    "nproc": (65535, 65535),
    "pids": 4096,
    "net.ipv4.ip_local_port_range": (10000, 65535),
    "net.ipv4.tcp_wmem": (4096, 65536, 16777216),
    "net.core.default_qdisc": "fq",
    "net.ipv4.tcp_congestion_control": "bbr",
    "net.netfilter.nf_conntrack_buckets": 524288,
    "haproxy.backlog": 65535,
    "haproxy.proxy_protocol": 1,
    "haproxy.check": "L7OK",
    "telemt.listen_backlog": 65535,
    "haproxy.timeout.client": 3600,
    "haproxy.timeout.server": 3600,
    **{f"haproxy.{side}tcpka_idle": 120 for side in ("cli", "srv")},
    **{f"haproxy.{side}tcpka_intvl": 30 for side in ("cli", "srv")},
    **{f"haproxy.{side}tcpka_cnt": 5 for side in ("cli", "srv")},
}
"""What the stack wants where it is not the guide's one number."""


@pytest.mark.parametrize(("key", "literal"), GUIDE.items(), ids=GUIDE)
def test_row_quotes_the_guide(key: str, literal: str) -> None:
    assert TABLE[key].guide == literal


def test_nothing_is_ascribed_to_the_guide_that_it_does_not_say() -> None:
    assert {key for key, row in TABLE.items() if row.guide} == set(GUIDE)


@pytest.mark.parametrize(("key", "value"), DELIVERED.items(), ids=DELIVERED)
def test_row_delivers_more_than_one_number_or_departs_from_it(key: str, value: object) -> None:
    assert TABLE[key].wanted == value


def test_rows_deliver_the_guides_number_everywhere_else() -> None:
    for row in TABLE.values():
        if row.guide and not row.derive and row.key not in DELIVERED:
            assert row.wanted == int(row.guide.removesuffix("s")), row.key


@pytest.mark.parametrize(
    "key",
    [
        "fs.file-max",
        "fs.nr_open",
        "net.core.somaxconn",
        "net.core.rmem_max",
        "net.ipv4.tcp_rmem",
        "net.netfilter.nf_conntrack_max",
        "nofile",
    ],
)
def test_a_host_that_has_more_than_the_guide_asks_for_is_not_short(key: str) -> None:
    assert TABLE[key].compare is Compare.AT_LEAST


def test_a_dead_peer_is_found_in_under_five_minutes_as_the_guide_promises() -> None:
    for side in ("cli", "srv"):
        idle, every, count = (
            TABLE[f"haproxy.{side}tcpka_{part}"].wanted for part in ("idle", "intvl", "cnt")
        )
        assert isinstance(idle, int)
        assert isinstance(every, int)
        assert isinstance(count, int)
        assert idle + every * count < 300


@pytest.mark.parametrize("module", ["nf_conntrack", "tcp_bbr", "sch_fq"])
def test_modules_the_keys_come_from_are_loaded_at_boot(module: str) -> None:
    loaded = {
        s.where for row in TABLE.values() for s in row.settings if s.place is Place.MODULES_LOAD
    }
    assert module in loaded
