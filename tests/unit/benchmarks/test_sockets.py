"""What `ss -nmHO` tells of sockets' memory, told apart by whose they are."""

from __future__ import annotations

from benchmarks.sockets import Charged, tcp_bytes, unix_bytes

TCP = """\
ESTAB 0 0 127.0.1.1:50588 127.0.0.1:443 skmem:(r4352,rb131072,t0,tb3939840,f3840,w0,o0,bl0,d0)
ESTAB 0 9 127.0.0.1:443 127.0.1.1:50588 skmem:(r0,rb131072,t0,tb3939840,f512,w7168,o0,bl0,d0)
ESTAB 7 0 172.20.0.3:40100 172.20.0.2:443 skmem:(r100,rb131072,t0,tb3939840,f0,w20,o0,bl0,d0)
"""

UNIX = """\
u_str ESTAB 0 0 /run/telemt/telemt.sock 21607 * 21606 skmem:(r0,rb212992,t73984,tb212992,f0,w0,o0)
u_str ESTAB 0 0 * 21606 * 21607 skmem:(r0,rb212992,t256,tb212992,f0,w0,o0,bl0,d0)
"""


def test_a_socket_to_the_published_port_of_loopback_is_a_clients() -> None:
    assert tcp_bytes(TCP, 443) == Charged(stack=512 + 7168 + 120, clients=4352 + 3840)


def test_a_line_without_memory_is_no_socket() -> None:
    assert tcp_bytes("ESTAB 0 0 127.0.0.1:1 127.0.0.1:2\n", 2) == Charged(0, 0)


def test_what_a_socket_owes_is_taken_off() -> None:
    line = "ESTAB 0 0 10.0.0.1:1 10.0.0.2:2 skmem:(r8192,rb1,t0,tb1,f4294963200,w0,o0,bl0,d0)"
    assert tcp_bytes(line, 443) == Charged(stack=4096, clients=0)


def test_unix_sockets_are_charged_where_was_sent() -> None:
    assert unix_bytes(UNIX) == 73984 + 256
