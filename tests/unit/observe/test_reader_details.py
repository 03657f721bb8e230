"""Cases in which a reader could be fooled, and must not be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from stackctl.checks.readers import READERS
from stackctl.limits import TABLE
from stackctl.observe.observed import Observed
from tests.unit.observe.cases import PORT, edit, no_pids_limit, snapshot_of

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
        return [row for row in listeners if row["port"] == PORT]

    @classmethod
    def shard(cls, response: dict[str, Any], **differs: object) -> None:
        """A second socket on the client port, as `shards` of HAProxy's bind line makes it."""
        response["targets"]["haproxy"]["value"]["listeners"]["tcp"].append(
            {**cls.rows(response)[0], **differs}
        )

    def test_every_shard_counts(self, response: dict[str, Any], logs: Logs) -> None:
        self.shard(response, backlog=77)
        seen = observe(response, logs, "haproxy", "haproxy.backlog")
        assert seen.got == 77
        assert "Send-Q 77 65535" in seen.source
        assert "2 sockets" in seen.source

    def test_nobody(self, response: dict[str, Any], logs: Logs) -> None:
        response["targets"]["haproxy"]["value"]["listeners"]["tcp"] = []
        assert (
            f"listens on port {PORT}" in observe(response, logs, "haproxy", "haproxy.backlog").error
        )

    def test_two_owners(self, response: dict[str, Any], logs: Logs) -> None:
        self.rows(response)[0]["owners"] = [7, 8]
        error = observe(response, logs, "haproxy", "haproxy.backlog").error
        assert "processes 7, 8" in error

    def test_a_stranger_with_reuseport(self, response: dict[str, Any], logs: Logs) -> None:
        self.shard(response, owners=[])
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

    def test_tcp_replica(self, tcp: dict[str, Any]) -> None:
        seen = observe(tcp, {}, "telemt-2", "telemt.listen_backlog")
        assert (seen.got, "0.0.0.0:9443" in seen.source) == (65535, True)


class TestLinkPorts:
    """A replica may listen on several ports, and HAProxy must know of all of them."""

    @staticmethod
    def last(tcp: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The listeners of a replica, and the one on the last of its ports."""
        rows = tcp["targets"]["telemt-2"]["value"]["listeners"]["tcp"]
        (found,) = [row for row in rows if row["port"] == 9445]
        return rows, found

    def test_each_one_counts(self, tcp: dict[str, Any]) -> None:
        self.last(tcp)[1]["backlog"] = 128
        assert observe(tcp, {}, "telemt-2", "telemt.link_ports").got == 3
        assert observe(tcp, {}, "telemt-2", "telemt.listen_backlog").got == 128

    def test_one_that_is_missing(self, tcp: dict[str, Any]) -> None:
        rows, last = self.last(tcp)
        rows.remove(last)
        seen = observe(tcp, {}, "telemt-2", "telemt.link_ports")
        assert (seen.got, "2 of 0.0.0.0:9443-9445" in seen.source) == (2, True)

    def test_a_unix_link_has_none(self, response: dict[str, Any], logs: Logs) -> None:
        assert "unix" in observe(response, logs, "telemt-1", "telemt.link_ports").error

    @pytest.mark.parametrize("other", ["rand(3),add(9000)", "rand(3)", "int(9443)"])
    def test_another_rule_than_stackctls_is_not_understood(
        self, tcp: dict[str, Any], other: str
    ) -> None:
        edit("rand(3),add(9443)", other, "targets", "haproxy", "value", "config", "text", "value")(
            tcp
        )
        seen = observe(tcp, {}, "haproxy", "haproxy.link_ports")
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
        assert "unix socket" in observe(response, logs, "haproxy", "haproxy.srvtcpka_cnt").error

    def test_the_lowest_of_several_counts(self, response: dict[str, Any], logs: Logs) -> None:
        client = response["clients"]["value"][-1]["client_socket"]["value"]
        client["options"]["keepcnt"]["value"] = 2
        seen = observe(response, logs, "haproxy", "haproxy.clitcpka_cnt")
        assert (seen.got, "keepcnt 2 5" in seen.source) == (2, True)


class TestBuffers:
    """A size counts only where a program asked for it: 131072 is also where autotuning begins."""

    @staticmethod
    def options(tcp: dict[str, Any], nth: int) -> dict[str, Any]:
        """HAProxy's socket to one of the collector's connections."""
        found: dict[str, Any] = tcp["clients"]["value"][nth]["client_socket"]["value"]["options"]
        return found

    def test_the_kernel_shows_twice_what_was_asked_for(self, tcp: dict[str, Any]) -> None:
        assert self.options(tcp, 0)["sndbuf"]["value"] == 131072
        for row, size in (
            ("sndbuf_client", 65536),
            ("rcvbuf_client", 65536),
            ("sndbuf_server", 65536),
            ("rcvbuf_server", 32768),
        ):
            assert observe(tcp, {}, "haproxy", f"haproxy.{row}").got == size

    def test_one_socket_that_autotunes_is_not_bounded(self, tcp: dict[str, Any]) -> None:
        self.options(tcp, 1)["buffers_asked"]["value"] = 1
        assert observe(tcp, {}, "haproxy", "haproxy.sndbuf_client").got == 65536
        seen = observe(tcp, {}, "haproxy", "haproxy.rcvbuf_client")
        assert seen.got == 0
        assert "rcvbuf 0 65536 (0: not bounded, it autotunes)" in seen.source

    def test_where_nobody_asked_none_is_bounded(self, response: dict[str, Any]) -> None:
        """131072 is also where autotuning begins."""
        assert observe(response, {}, "haproxy", "haproxy.sndbuf_client").got == 0

    def test_the_largest_of_several_counts(self, tcp: dict[str, Any]) -> None:
        self.options(tcp, 1)["sndbuf"]["value"] = 4194304
        assert observe(tcp, {}, "haproxy", "haproxy.sndbuf_client").got == 2097152

    def test_a_kernel_that_does_not_tell_is_an_error(self, tcp: dict[str, Any]) -> None:
        unknown = {"error": "ENOPROTOOPT: Protocol not available"}
        self.options(tcp, 0)["buffers_asked"] = unknown
        seen = observe(tcp, {}, "haproxy", "haproxy.sndbuf_client")
        assert (seen.got, "SO_BUF_LOCK: ENOPROTOOPT" in seen.error) == (None, True)


@pytest.mark.parametrize("junk", [None, "", "x", True, [], [None], ["x"], [[]], {}])
def test_a_socket_option_of_another_shape_is_an_error(
    response: dict[str, Any], junk: object
) -> None:
    response["host"]["value"]["fresh"]["udp_rcvbuf"] = {"value": junk}
    client = response["clients"]["value"][0]["client_socket"]["value"]
    client["options"]["keepidle"] = {"value": junk}
    for target, key, nth in (
        ("host", "net.core.rmem_default", 1),
        ("haproxy", "haproxy.clitcpka_idle", 0),
    ):
        seen = observe(response, {}, target, key, nth)
        assert (seen.got, bool(seen.error)) == (None, True)


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

    @staticmethod
    def published(response: dict[str, Any]) -> tuple[str, str]:
        """The replica that the published address led to, and the client's address there."""
        client = response["clients"]["value"][0]
        assert client["via"] == "published"
        return client["server"], client["seen_as"].rpartition(":")[0]

    @classmethod
    def proven(cls, response: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        """The rows that rest on it."""
        link = f"haproxy/{cls.published(response)[0]}"
        return (link, "haproxy.proxy_protocol"), ("haproxy", "haproxy.client_address")

    @classmethod
    def counts(cls, response: dict[str, Any], **texts: str) -> None:
        """What the replica's page of failed handshakes has before and after."""
        server, _ = cls.published(response)
        response["targets"][server]["value"]["telemt"]["failed"]["value"].update(texts)

    def test_where_the_log_is_silent_the_counters_tell(self, response: dict[str, Any]) -> None:
        server, ip = self.published(response)
        link, address = self.proven(response)
        seen = observe(response, {server: ("INFO ready",)}, *address)
        assert seen.got == 1
        assert f"{ip} grew by 1 on /beobachten" in seen.source
        assert observe(response, {}, *link).got == 1

    def test_an_address_that_was_counted_before(self, response: dict[str, Any]) -> None:
        _, ip = self.published(response)
        page = "[expected_64_got_0]\n{}-{}"
        self.counts(response, before=page.format(ip, 3), after=page.format(ip, 4))
        assert "grew by 1" in observe(response, {}, *self.proven(response)[1]).source

    def test_the_log_is_believed_before_the_counters(
        self, response: dict[str, Any], logs: Logs
    ) -> None:
        server, ip = self.published(response)
        _, address = self.proven(response)
        self.counts(response, after="[expected_64_got_0]\n10.0.0.2-9")
        assert observe(response, logs, *address).got == 1
        other = {server: tuple(line.replace(ip, "10.0.0.2") for line in logs[server])}
        assert observe(response, other, *address).got == 0

    def test_another_address_counted_instead(self, response: dict[str, Any]) -> None:
        server, _ = self.published(response)
        here = [one for one in response["clients"]["value"] if one["server"] == server]
        # So many of the collector's connections went there: a lower count is another client's.
        after = f"[other]\n10.0.0.2-{len(here) - 1}\n127.0.0.1-{len(here)}"
        self.counts(response, before="empty", after=after)
        for proven in self.proven(response):
            seen = observe(response, {}, *proven)
            assert seen.got == 0
            assert f"127.0.0.1 (+{len(here)})" in seen.source
            assert "10.0.0.2" not in seen.source

    def test_neither_logged_nor_counted_tells_nothing(self, response: dict[str, Any]) -> None:
        server, _ = self.published(response)
        empty = {"value": {"after": "empty", "before": "empty"}}
        for reading in (empty, {"error": "ECONNREFUSED: x"}):
            response["targets"][server]["value"]["telemt"]["failed"] = reading
            for proven in self.proven(response):
                seen = observe(response, {}, *proven)
                assert seen.got is None
                assert server in seen.error

    def test_a_replica_that_counts_nothing(self, response: dict[str, Any]) -> None:
        server, _ = self.published(response)
        del response["targets"][server]["value"]["telemt"]["failed"]
        seen = observe(response, {}, *self.proven(response)[0])
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
            "via": "published", "remote": f"192.0.2.2:{PORT}",
            "error": "ECONNREFUSED: Connection refused",
        }  # fmt: skip
        assert "ECONNREFUSED" in observe(response, logs, "haproxy", "haproxy.client_address").error


class TestHost:
    """The engine's and the card's."""

    def test_cgroup_of_an_ancestor_counts(self, response: dict[str, Any], logs: Logs) -> None:
        no_pids_limit(response)
        group = response["host"]["value"]["engine"]["starter"]["cgroup"]
        group["ancestors"] = [{"value": "1000\n", "path": "/sys/fs/cgroup/system.slice/pids.max"}]
        seen = observe(response, logs, "host", "engine.tasks")
        assert seen.got == 1000
        assert "system.slice" in seen.source

    def test_of_several_daemons_only_the_starter_counts(
        self, response: dict[str, Any], logs: Logs
    ) -> None:
        no_pids_limit(response)
        daemons = response["host"]["value"]["engine"]["daemons"]
        (dockerd,) = [daemon for daemon in daemons if daemon["comm"] == "dockerd"]
        dockerd["cgroup"]["limit"]["value"] = "5\n"
        daemons.append(dict(dockerd))
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
