"""Which rows of the limits table the cause of a connection's failure points at: data. Pure."""

from __future__ import annotations

from stackctl.observe.signs import QUEUE, Sign

CAUSES = (
    Sign("connect-timeout", "no answer to a SYN", (*QUEUE, "net.netfilter.nf_conntrack_max")),
    Sign("answer-timeout", "no answer came", ("telemt.max_connections", "nofile")),
    Sign("no-port", "no source port was left", ("net.ipv4.ip_local_port_range",)),
    Sign("no-descriptor", "the load's process had no descriptor left", ("nofile", "fs.file-max")),
    Sign("reset", "the peer reset it", ("haproxy.server_maxconn", "telemt.max_connections")),
    Sign(
        "closed",
        "the peer closed it",
        (
            *("haproxy.frontend_maxconn", "haproxy.server_maxconn", "telemt.max_connections"),
            *("nofile", "net.ipv4.ip_local_port_range"),
        ),
    ),
    Sign("refused", "nobody listens there"),
    Sign("no-memory", "the kernel had no memory for it"),
    Sign("not-fake-tls", "the fallback site answered instead of the proxy"),
    Sign("not-mtproto", "a server that does not speak MTProto answered instead of the proxy"),
    Sign("bad-hmac", "the proxy does not know this secret"),
    Sign("bad-answer", "the answer does not fit the request"),
    Sign("deadline", "the time for opening was over before it was started"),
    Sign("process-ended", "a process of the load itself ended"),
)
"""Causes of failures; any other word is the kernel's own name of an error."""


def cause_sign(cause: str) -> Sign:
    """The sign of a failure's cause."""
    found = (sign for sign in CAUSES if sign.name == cause)
    return next(found, Sign(cause, "an error by the kernel's own name"))
