"""Which rows of the limits table the cause of a connection's failure points at: data. Pure."""

from __future__ import annotations

from stackctl.observe.signs import QUEUE, Sign

CAUSES = (
    Sign("connect-timeout", "no answer to a SYN", (*QUEUE, "net.netfilter.nf_conntrack_max")),
    Sign("answer-timeout", "nothing came back", ("telemt.max_connections", "nofile")),
    Sign("no-port", "no source port was left", ("net.ipv4.ip_local_port_range",)),
    Sign("no-descriptor", "no descriptor was left to this process", ("nofile", "fs.file-max")),
    Sign("reset", "it was reset", ("haproxy.server_maxconn", "telemt.max_connections")),
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
    Sign("not-fake-tls", "a stranger answered in the proxy's place: a mask site"),
    Sign("not-mtproto", "a stranger answered in the proxy's place"),
    Sign("bad-hmac", "the proxy does not know this secret"),
    Sign("bad-answer", "what came back is no answer to what was sent"),
    Sign("deadline", "the time for opening was over before its turn came"),
    Sign("process-ended", "a process of the load itself was ended"),
)
"""Failures' causes; another word is the kernel's own name of an error."""


def cause_sign(cause: str) -> Sign:
    """What a failure's cause says."""
    found = (sign for sign in CAUSES if sign.name == cause)
    return next(found, Sign(cause, "the kernel's own name for it"))
