"""What single readers must not be fooled by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from stackctl.checks.readers import READERS
from stackctl.limits import TABLE
from stackctl.observe.observed import Observed
from tests.unit.observe.cases import snapshot_of

Logs = Mapping[str, tuple[str, ...]]


def observe(response: dict[str, Any], logs: Logs, target: str, key: str, nth: int = 0) -> Observed:
    limit = TABLE[key]
    read = limit.reads[nth]
    return READERS[read.reader](snapshot_of(response, logs), target, read, limit)


class TestListener:
    """One process alone owns the client port, and its smallest shard counts."""

    @staticmethod
    def rows(response: dict[str, Any]) -> list[dict[str, Any]]:
        listeners = response["targets"]["haproxy"]["value"]["listeners"]["tcp"]
        return [row for row in listeners if row["port"] == 8443]

    def test_every_shard_counts(self, response: dict[str, Any], logs: Logs) -> None:
        self.rows(response)[1]["backlog"] = 77
        seen = observe(response, logs, "haproxy", "haproxy.backlog")
        assert seen.got == 77
        assert "Send-Q 77 65535" in seen.source
        assert "2 sockets" in seen.source

    def test_nobody(self, response: dict[str, Any], logs: Logs) -> None:
        response["targets"]["haproxy"]["value"]["listeners"]["tcp"] = []
        assert "listens on port 8443" in observe(response, logs, "haproxy", "haproxy.backlog").error

    def test_two_owners(self, response: dict[str, Any], logs: Logs) -> None:
        self.rows(response)[0]["owners"] = [7, 8]
        error = observe(response, logs, "haproxy", "haproxy.backlog").error
        assert "processes 7, 8" in error

    def test_a_stranger_with_reuseport(self, response: dict[str, Any], logs: Logs) -> None:
        self.rows(response)[0]["owners"] = []
        error = observe(response, logs, "haproxy", "haproxy.backlog").error
        assert "outside haproxy" in error

    def test_the_same_port_of_another_address_is_no_stranger(
        self, response: dict[str, Any], logs: Logs
    ) -> None:
        other = {**self.rows(response)[0], "address": "127.0.0.9", "owners": []}
        response["targets"]["haproxy"]["value"]["listeners"]["tcp"].append(other)
        assert observe(response, logs, "haproxy", "haproxy.backlog").got == 65535

    def test_the_same_path_in_another_container_is_no_stranger(
        self, response: dict[str, Any], logs: Logs
    ) -> None:
        unix = response["targets"]["telemt-1"]["value"]["listeners"]["unix"]
        unix.insert(0, {**unix[0], "owners": [], "backlog": 1})
        assert observe(response, logs, "telemt-1", "telemt.listen_backlog").got == 65535

    def test_tcp_replica(self, response: dict[str, Any], logs: Logs) -> None:
        seen = observe(response, logs, "telemt-2", "telemt.listen_backlog")
        assert "0.0.0.0:443" in seen.source


class TestLinkPorts:
    """A replica may listen on several ports, and HAProxy must know of all of them."""

    @staticmethod
    def doors(response: dict[str, Any], *backlogs: int) -> None:
        target = response["targets"]["telemt-2"]["value"]
        (row,) = [row for row in target["listeners"]["tcp"] if row["port"] == 443]
        target["listeners"]["tcp"] += [
            {**row, "port": 443 + nth, "backlog": backlog}
            for nth, backlog in enumerate(backlogs, 1)
        ]
        (asked,) = [t for t in response["request"]["replicas"] if t["name"] == "telemt-2"]
        asked["ports"] = 3

    def test_each_one_counts(self, response: dict[str, Any], logs: Logs) -> None:
        self.doors(response, 65535, 128)
        assert observe(response, logs, "telemt-2", "telemt.link_ports").got == 3
        assert observe(response, logs, "telemt-2", "telemt.listen_backlog").got == 128

    def test_one_that_is_missing(self, response: dict[str, Any], logs: Logs) -> None:
        self.doors(response, 65535)
        seen = observe(response, logs, "telemt-2", "telemt.link_ports")
        assert (seen.got, "2 of 0.0.0.0:443-445" in seen.source) == (2, True)

    def test_a_unix_link_has_none(self, response: dict[str, Any], logs: Logs) -> None:
        assert "unix" in observe(response, logs, "telemt-1", "telemt.link_ports").error

    @pytest.mark.parametrize("other", ["rand(3),add(9000)", "rand(3)", "int(9443)"])
    def test_another_rule_than_stackctls_is_not_understood(
        self, response: dict[str, Any], logs: Logs, other: str
    ) -> None:
        config = response["targets"]["haproxy"]["value"]["config"]
        text = config["text"]["value"].replace(
            "telemt-1 unix@/run/telemt/1.sock", "telemt-1 10.0.0.1:+0"
        )
        text = text.replace("172.18.0.3:443", "172.18.0.3:+0")
        rule = f"    tcp-request content set-dst-port {other}\n"
        config["text"]["value"] = text.replace("backend telemt\n", f"backend telemt\n{rule}")
        seen = observe(response, logs, "haproxy", "haproxy.link_ports")
        assert (seen.got, other in seen.error) == (None, True)


class TestProcess:
    """HAProxy's worker forbids itself to fork; nobody else's zero is excused."""

    def test_masters_nproc(self, response: dict[str, Any], logs: Logs) -> None:
        seen = observe(response, logs, "haproxy", "nproc")
        assert seen.got == (65535, 65535)
        assert "master" in seen.source

    def test_zero_without_a_master_stays_zero(self, response: dict[str, Any], logs: Logs) -> None:
        process = response["targets"]["haproxy"]["value"]["process"]
        process |= {"first": process["pid"], "first_limits": process["limits"]}
        assert observe(response, logs, "haproxy", "nproc").got == (0, 0)

    def test_the_admin_socket_must_be_the_live_workers(
        self, response: dict[str, Any], logs: Logs
    ) -> None:
        info = response["targets"]["haproxy"]["value"]["haproxy"]["info"]
        info["value"] = info["value"].replace("\nPid: ", "\nPid: 9")
        assert "live worker" in observe(response, logs, "haproxy", "haproxy.nbthread").error


class TestSession:
    """HAProxy prints two units of a time and drops the rest."""

    @staticmethod
    def printed(response: dict[str, Any], text: str, file: str) -> None:
        for client in response["clients"]["value"]:
            client["session"]["value"] = client["session"]["value"].replace(
                "ioto=1h", f"ioto={text}"
            )
        config = response["targets"]["haproxy"]["value"]["config"]
        config["text"]["value"] = config["text"]["value"].replace(
            "timeout client 3600s", f"timeout client {file}"
        )

    def test_the_rest_comes_from_the_file(self, response: dict[str, Any], logs: Logs) -> None:
        self.printed(response, "1h30m", "5430s")
        seen = observe(response, logs, "haproxy", "haproxy.timeout.client", 1)
        assert seen.got == 5430
        assert "5430 s of the file print so" in seen.source

    def test_another_file_does_not_help(self, response: dict[str, Any], logs: Logs) -> None:
        self.printed(response, "1h30m", "9000s")
        assert observe(response, logs, "haproxy", "haproxy.timeout.client", 1).got == 5400

    def test_never_is_no_number(self, response: dict[str, Any], logs: Logs) -> None:
        self.printed(response, "<NEVER>", "3600s")
        assert observe(response, logs, "haproxy", "haproxy.timeout.client", 1).error

    def test_a_session_that_ended_is_an_error(self, response: dict[str, Any], logs: Logs) -> None:
        response["clients"]["value"][0]["session"]["value"] = "\n"
        assert observe(response, logs, "haproxy", "haproxy.timeout.client", 1).error


class TestSocket:
    """Options of live sockets."""

    def test_keepalive_off_makes_its_numbers_worthless(
        self, response: dict[str, Any], logs: Logs
    ) -> None:
        for client in response["clients"]["value"]:
            client["client_socket"]["value"]["options"]["keepalive"]["value"] = 0
        seen = observe(response, logs, "haproxy", "haproxy.clitcpka_idle")
        assert seen.got == 0
        assert "SO_KEEPALIVE is off" in seen.source

    def test_unix_links_have_no_tcp_options(self, response: dict[str, Any], logs: Logs) -> None:
        for client in response["clients"]["value"]:
            client["server_socket"] = {"value": {"link": "unix", "peer": "", "options": {}}}
        assert "unix socket" in observe(response, logs, "haproxy", "haproxy.srvtcpka_cnt").error

    def test_the_lowest_of_several_counts(self, response: dict[str, Any], logs: Logs) -> None:
        client = response["clients"]["value"][-1]["client_socket"]["value"]
        client["options"]["keepcnt"]["value"] = 2
        seen = observe(response, logs, "haproxy", "haproxy.clitcpka_cnt")
        assert (seen.got, "keepcnt 2 5" in seen.source) == (2, True)


class TestBuffers:
    """A size counts only where a program asked for it: 131072 is also where autotuning begins."""

    @staticmethod
    def asked(response: dict[str, Any], *bits: int) -> None:
        for client, bit in zip(response["clients"]["value"], bits, strict=True):
            for side in ("client_socket", "server_socket"):
                options = client[side]["value"]["options"]
                options |= {"buffers_asked": {"value": bit}, "rcvbuf": {"value": 131072}}
                options["sndbuf"] = {"value": 131072}

    def test_the_kernel_shows_twice_what_was_asked_for(
        self, response: dict[str, Any], logs: Logs
    ) -> None:
        self.asked(response, 3, 3, 3)
        for row in ("sndbuf_client", "rcvbuf_client", "sndbuf_server", "rcvbuf_server"):
            assert observe(response, logs, "haproxy", f"haproxy.{row}").got == 65536

    def test_one_socket_that_autotunes_is_not_bounded(
        self, response: dict[str, Any], logs: Logs
    ) -> None:
        self.asked(response, 3, 1, 3)
        assert observe(response, logs, "haproxy", "haproxy.sndbuf_client").got == 65536
        seen = observe(response, logs, "haproxy", "haproxy.rcvbuf_client")
        assert seen.got == 0
        assert "rcvbuf 0 65536 (0: not bounded, it autotunes)" in seen.source

    def test_the_largest_of_several_counts(self, response: dict[str, Any], logs: Logs) -> None:
        self.asked(response, 3, 3, 3)
        client = response["clients"]["value"][1]["client_socket"]["value"]
        client["options"]["sndbuf"]["value"] = 4194304
        assert observe(response, logs, "haproxy", "haproxy.sndbuf_client").got == 2097152

    def test_a_kernel_that_does_not_tell_is_an_error(
        self, response: dict[str, Any], logs: Logs
    ) -> None:
        self.asked(response, 3, 3, 3)
        unknown = {"error": "ENOPROTOOPT: Protocol not available"}
        client = response["clients"]["value"][0]["client_socket"]["value"]
        client["options"]["buffers_asked"] = unknown
        seen = observe(response, logs, "haproxy", "haproxy.sndbuf_client")
        assert (seen.got, "SO_BUF_LOCK: ENOPROTOOPT" in seen.error) == (None, True)


class TestStat:
    """`show stat`."""

    @pytest.mark.parametrize(("word", "got"), [("* L7OK", "L7OK"), ("L7STS", "L7STS")])
    def test_check_status(self, response: dict[str, Any], logs: Logs, word: str, got: str) -> None:
        stat = response["targets"]["haproxy"]["value"]["haproxy"]["stat"]
        stat["value"] = stat["value"].replace("L7OK", word)
        assert observe(response, logs, "haproxy/telemt-1", "haproxy.check").got == got

    def test_no_check_is_an_error(self, response: dict[str, Any], logs: Logs) -> None:
        stat = response["targets"]["haproxy"]["value"]["haproxy"]["stat"]
        stat["value"] = stat["value"].replace("L7OK", "")
        assert (
            "has no check_status"
            in observe(response, logs, "haproxy/telemt-1", "haproxy.check").error
        )

    def test_no_such_server(self, response: dict[str, Any], logs: Logs) -> None:
        assert observe(response, logs, "haproxy/telemt-9", "haproxy.check").error


class TestAddress:
    """A client's own address arriving at a replica."""

    def test_direct_is_not_by_header(self, response: dict[str, Any], logs: Logs) -> None:
        direct = {
            name: tuple(x.replace("proxy_v2", "direct") for x in lines)
            for name, lines in logs.items()
        }
        for target, key in (
            ("haproxy/telemt-1", "haproxy.proxy_protocol"),
            ("haproxy", "haproxy.client_address"),
        ):
            seen = observe(response, direct, target, key)
            assert seen.got == 0
            assert "direct" in seen.source

    PROVEN = (
        ("haproxy/telemt-1", "haproxy.proxy_protocol"),
        ("haproxy", "haproxy.client_address"),
    )

    @staticmethod
    def counts(response: dict[str, Any], **texts: str) -> None:
        response["targets"]["telemt-1"]["value"]["telemt"]["failed"]["value"].update(texts)

    def test_where_the_log_is_silent_the_counters_tell(self, response: dict[str, Any]) -> None:
        # The address was counted before: it is the difference that counts.
        seen = observe(response, {"telemt-1": ("INFO ready",)}, *self.PROVEN[1])
        assert seen.got == 1
        assert "192.0.2.2 grew by 1 on /beobachten" in seen.source
        assert observe(response, {}, *self.PROVEN[0]).got == 1

    def test_the_log_is_believed_before_the_counters(
        self, response: dict[str, Any], logs: Logs
    ) -> None:
        self.counts(response, after="[expected_64_got_0]\n10.0.0.2-9")
        assert observe(response, logs, *self.PROVEN[1]).got == 1
        other = {"telemt-1": (logs["telemt-1"][0].replace("192.0.2.2", "10.0.0.2"),)}
        assert observe(response, other, *self.PROVEN[1]).got == 0

    def test_another_address_counted_instead(self, response: dict[str, Any]) -> None:
        self.counts(response, before="empty", after="[other]\n10.0.0.2-1\n127.0.0.1-2")
        for proven in self.PROVEN:
            seen = observe(response, {}, *proven)
            assert seen.got == 0
            # Two of the collector's connections went there: a count of one is another client's.
            assert "127.0.0.1 (+2)" in seen.source
            assert "10.0.0.2" not in seen.source

    def test_neither_logged_nor_counted_tells_nothing(self, response: dict[str, Any]) -> None:
        empty = {"value": {"after": "empty", "before": "empty"}}
        for reading in (empty, {"error": "ECONNREFUSED: x"}):
            response["targets"]["telemt-1"]["value"]["telemt"]["failed"] = reading
            for proven in self.PROVEN:
                seen = observe(response, {}, *proven)
                assert seen.got is None
                assert "telemt-1" in seen.error

    def test_a_replica_that_counts_nothing(self, response: dict[str, Any]) -> None:
        del response["targets"]["telemt-1"]["value"]["telemt"]["failed"]
        seen = observe(response, {}, *self.PROVEN[0])
        assert seen.got is None
        assert "log names no client" in seen.error
        assert "/beobachten: not read" in seen.error

    def test_both_addresses_are_named(self, response: dict[str, Any], logs: Logs) -> None:
        response["clients"]["value"][0]["seen_as"] = "172.18.0.1:9"
        seen = observe(response, logs, "haproxy", "haproxy.client_address")
        assert seen.got == 0
        assert response["clients"]["value"][0]["local"] in seen.source
        assert "172.18.0.1:9" in seen.source

    def test_a_refused_connection(self, response: dict[str, Any], logs: Logs) -> None:
        response["clients"]["value"][0] = {
            "via": "published", "remote": "192.0.2.2:18443", "local": "",
            "error": "ECONNREFUSED: Connection refused",
        }  # fmt: skip
        assert "ECONNREFUSED" in observe(response, logs, "haproxy", "haproxy.client_address").error


class TestHost:
    """The engine's and the card's."""

    def test_cgroup_of_an_ancestor_counts(self, response: dict[str, Any], logs: Logs) -> None:
        group = response["host"]["value"]["engine"]["starter"]["cgroup"]
        group["ancestors"] = [{"value": "1000\n", "path": "/sys/fs/cgroup/system.slice/pids.max"}]
        seen = observe(response, logs, "host", "engine.tasks")
        assert seen.got == 1000
        assert "system.slice" in seen.source

    def test_of_several_daemons_only_the_starter_counts(
        self, response: dict[str, Any], logs: Logs
    ) -> None:
        daemons = response["host"]["value"]["engine"]["daemons"]
        daemons[0]["cgroup"]["limit"]["value"] = "5\n"
        daemons.append(dict(daemons[0]))
        seen = observe(response, logs, "host", "engine.tasks")
        assert seen.got != 5
        assert "2 dockerd run" in seen.source

    def test_multiqueue(self, response: dict[str, Any], logs: Logs) -> None:
        card = response["host"]["value"]["cards"]["value"][0]
        card["qdiscs"] = [
            {"kind": "mq", "handle": 0, "parent": 0xFFFFFFFF},
            {"kind": "fq", "handle": 0, "parent": 1},
            {"kind": "fq", "handle": 0, "parent": 2},
        ]
        assert observe(response, logs, "host", "net.core.default_qdisc", 1).got == "fq"
        card["qdiscs"][2]["kind"] = "pfifo_fast"
        assert observe(response, logs, "host", "net.core.default_qdisc", 1).error

    def test_no_limits_conf_at_all(self, response: dict[str, Any], logs: Logs) -> None:
        response["host"]["value"]["login"] = [
            {"error": "ENOENT: No such file", "path": "/etc/security/limits.conf"}
        ]
        assert "nothing sets soft nofile" in observe(response, logs, "host", "login.nofile").error
