"""Variations tried after a failure, so that its cause is observed and not guessed. The edge."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Literal

from stackctl.handshake.cause import SKEW_SECONDS
from stackctl.handshake.link_connect import as_reset, connect, near, proxy_header
from stackctl.handshake.link_model import Trial, TrialName
from stackctl.mtproto import Attempt, Failure, Secret, attempt
from stackctl.mtproto.link import is_domain
from stackctl.mtproto.stranger import describe

_UPTIME = 60
"""The time stamp of a client without a clock; some proxies accept it at any time."""
_SHIFTS = tuple(sign * s for s in (2 * SKEW_SECONDS, 3600, 7200, 10800) for sign in (1, -1))
"""Seconds by which a drifting clock, or a clock of the wrong time zone, is off."""
_MOST = 8192
"""Most bytes read of a site's answer."""
PAUSE = 1.05
"""Seconds before each trial: for up to a second after a failure Telemt refuses the address, even
with a key that it knows."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to probe and how long. `timeout`: seconds for each trial; `deadline`: of all trials,
    on the monotonic clock; `pause`: seconds before each trial."""

    address: str
    port: int
    secret: Secret
    dc: int
    timeout: float
    deadline: float
    pause: float = PAUSE

    def attempt(
        self, secret: Secret, dc: int = 0, unix_time: float | None = None, header: bool = False
    ) -> Attempt | None:
        """One more handshake; None where time is up or the connection fails."""
        timeout = self.wait()
        if timeout <= 0:
            return None
        until = time.monotonic() + timeout
        sock = connect(self.address, self.port, timeout)
        if not isinstance(sock, socket.socket):
            failure = as_reset(sock, secret)
            return Attempt((), failure) if failure else None
        with sock:
            try:
                sock.sendall(proxy_header(sock) if header else b"")
            except OSError:
                return None
            return attempt(sock, secret, dc=dc or self.dc, deadline=until, unix_time=unix_time)

    def wait(self) -> float:
        """Pause, and return the seconds that the next trial may take."""
        time.sleep(self.pause)
        return min(self.timeout, self.deadline - time.monotonic())


def try_more(target: Target, failure: Failure) -> tuple[Trial, ...]:
    """The trials for a failure; they end early where one has shown the cause."""
    return tuple(_behind(target) if _passed_in(target, failure) else _outside(target, failure))


def _passed_in(target: Target, failure: Failure) -> bool:
    """Whether the proxy accepted us as its user, as far as the handshake shows."""
    return failure.hop == "answer" and (
        target.secret.mode == "tls" or failure.cause in {"dc-error", "bad-answer"}
    )


def _behind(target: Target) -> Iterator[Trial]:
    other = abs(target.dc) % 5 + 1
    yield _trial("other-dc", target.attempt(target.secret, dc=other), str(other))


def _outside(target: Target, failure: Failure) -> Iterator[Trial]:
    secret = target.secret
    silent = failure.cause in {"closed", "reset", "timeout"}
    if silent and near(target.address):
        trial = _trial("proxy-header", target.attempt(secret, header=True))
        yield trial
        if trial.passed:
            return
    name = secret.domain or "localhost"
    site, ahead = ask_site(target.address, target.port, name, max(target.wait(), 0.001))
    yield site
    if secret.mode == "tls":
        yield from _fake_tls(target, failure, ahead)
        return
    other: Literal["classic", "secure"] = "classic" if secret.mode == "secure" else "secure"
    trial = _trial(other, target.attempt(replace(secret, mode=other)))
    yield trial
    if silent and not trial.passed:
        yield _random_key(target, failure)
        yield from _behind(target)


def _fake_tls(target: Target, failure: Failure, ahead: float | None) -> Iterator[Trial]:
    secret = target.secret
    for name in failure.names[:2]:
        # A wildcard itself is not the name of a site.
        domain = name.removeprefix("*.")
        if is_domain(domain) and domain.lower() != secret.domain.lower():
            trial = _trial("domain", target.attempt(replace(secret, domain=domain)), domain)
            yield trial
            if trial.passed:
                return
    yield _trial("secure", target.attempt(Secret("secure", secret.key)))
    yield _clock(target, ahead)


def _clock(target: Target, ahead: float | None) -> Trial:
    now = time.time()
    shifts = [*([ahead] if ahead is not None and abs(ahead) > SKEW_SECONDS else []), *_SHIFTS]
    for shift in shifts:
        if _hello_passes(target, time.time() + shift):
            source = (
                "as the site's Date says"
                if shift is ahead
                else f"give or take {SKEW_SECONDS:.0f} s"
            )
            seen = f"the handshake passes with a time stamp {shift:+.0f} s from now, {source}"
            return Trial("clock", True, seen, f"{shift:.0f}")
    if _hello_passes(target, _UPTIME):
        seen = "the handshake passes with the time stamp of a client without a clock"
        return Trial("clock", True, seen, "uptime")
    tried = f"none of {len(shifts) + 1} other time stamps passes, {time.time() - now:.1f} s"
    return Trial("clock", False, tried)


def _hello_passes(target: Target, unix_time: float) -> bool:
    seen = target.attempt(target.secret, unix_time=unix_time)
    return seen is not None and any(step.hop == "tls" for step in seen.steps)


def _random_key(target: Target, failure: Failure) -> Trial:
    """Whether the proxy treats a random key as it treats this one."""
    seen = target.attempt(replace(target.secret, key=os.urandom(16)))
    if seen is None or seen.failure is None:
        return _trial("random-key", seen)
    ended = seen.failure.cause
    same = ended == failure.cause
    words = "ends the same way" if same else f"ends differently: {ended}"
    return Trial("random-key", False, f"a handshake with a random key {words}", _same(same))


def _same(same: bool) -> str:
    return "same" if same else "differs"


def _trial(name: TrialName, seen: Attempt | None, value: str = "") -> Trial:
    if seen is None:
        return Trial(name, False, "not tried: no connection, or no time left", value)
    if seen.failure is None:
        return Trial(name, True, f"resPQ after {sum(s.ms for s in seen.steps):.0f} ms", value)
    # A verified flight proves key, domain and clock, whatever the data centre does.
    passed = any(step.hop == "tls" for step in seen.steps)
    return Trial(name, passed and name in {"domain", "proxy-header"}, seen.failure.detail, value)


def ask_site(address: str, port: int, name: str, timeout: float) -> tuple[Trial, float | None]:
    """Ask for a site over TLS; where that fails, in plain HTTP.

    Args:
        address: of the proxy.
        port: of the proxy.
        name: the site to ask for.
        timeout: seconds for each of the two.

    Returns:
        What was seen, and how many seconds the site's Date is ahead of this machine's clock; None
        where the site sent no Date.
    """
    for tls in (True, False):
        answer = _get(address, port, name, tls, timeout)
        if answer.startswith(b"HTTP/"):
            how = "over TLS" if tls else "in plain HTTP"
            seen = (
                f"a site answers without a handshake {how}: {describe(answer).partition(': ')[2]}"
            )
            return Trial("site", True, seen), _ahead(answer)
    return Trial("site", False, "no site answers without a handshake, over TLS or plain HTTP"), None


def _get(address: str, port: int, name: str, tls: bool, timeout: float) -> bytes:
    deadline = time.monotonic() + timeout
    sock = connect(address, port, timeout)
    if not isinstance(sock, socket.socket):
        return b""
    with sock:
        try:
            if not tls:
                return _exchange(sock, name, deadline)
            # The site's identity does not matter here, only its clock.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            with context.wrap_socket(sock, server_hostname=name) as secure:
                return _exchange(secure, name, deadline)
        except (OSError, ValueError):
            return b""


def _exchange(sock: socket.socket, name: str, deadline: float) -> bytes:
    # The request is as long as a browser's: Telemt judges no client before its first 64 bytes.
    request = (
        f"GET / HTTP/1.1\r\nHost: {name}\r\nUser-Agent: Mozilla/5.0\r\n"
        "Accept: text/html\r\nConnection: close\r\n\r\n"
    )
    sock.sendall(request.encode("ascii"))
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < _MOST:
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            more = sock.recv(_MOST)
        except OSError:
            break
        if not more:
            break
        answer += more
    return answer[:_MOST]


def _ahead(answer: bytes) -> float | None:
    for line in answer.splitlines()[1:40]:
        field, _, value = line.partition(b":")
        if field.lower() == b"date":
            try:
                return parsedate_to_datetime(value.decode("latin-1")).timestamp() - time.time()
            except (ValueError, OverflowError):
                return None
    return None
