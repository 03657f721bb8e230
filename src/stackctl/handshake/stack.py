"""Real handshakes through a running stack: every user and mode, every replica."""

from __future__ import annotations

import time
from dataclasses import dataclass

from stackctl.collector.answer import Unread
from stackctl.engine import Engine
from stackctl.errors import EngineError, Exit, PlanError, SpecError
from stackctl.handshake.cause import SKEW_SECONDS, Cause
from stackctl.handshake.stack_records import StackHandshake, handshakes
from stackctl.limits.targets import HAPROXY, replica_name
from stackctl.observe.look import look
from stackctl.observe.request import AT_ONCE, EACH, Choice
from stackctl.observe.snapshot import Snapshot, ahead
from stackctl.spec import Stack, load_secrets

MOST = 20_000
"""Most handshakes of one run: that many take some minutes."""

LONGEST = 300.0
"""Seconds that all handshakes of one run may take."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What handshakes through a stack showed.

    Attributes:
        stack: its name.
        telemt: "official", "binary" or "double".
        handshakes: the published address first, then replica by replica.
        ahead: seconds by which the clock of the engine's host is ahead of this machine's; 0.0
            where the two agree within the time that the collector took.
    """

    stack: str
    telemt: str
    handshakes: tuple[StackHandshake, ...]
    ahead: float = 0.0

    @property
    def clock(self) -> Cause | None:
        """What is wrong between the two clocks; None where they agree well enough."""
        if abs(self.ahead) <= SKEW_SECONDS:
            return None
        side = "ahead of" if self.ahead > 0 else "behind"
        return Cause(
            "clock",
            f"the clock of the engine's host is {abs(self.ahead):.0f} s {side} this machine's: "
            f"fake TLS allows {SKEW_SECONDS:.0f} s",
            "correct the wrong clock by NTP (chrony, or `timedatectl set-ntp true`)",
        )

    @property
    def exit_status(self) -> Exit:
        """0 where every handshake succeeded and the clocks agree."""
        good = self.handshakes and not any(one.cause for one in self.handshakes)
        return Exit.OK if good and not self.clock else Exit.SHORT


def probe_stack(stack: Stack, engine: Engine, user: str = "", replica: str = "") -> Probed:
    """Shake hands as clients of the running stack do.

    Args:
        stack: its file.
        engine: where it runs.
        user: probe this user only; all users of the secrets file if empty.
        replica: probe this replica only, without the published address; everything if empty.

    Raises:
        SpecError: no such user or replica, the secrets file is wrong, or there are too many.
        EngineError: the engine does not answer, or nothing of the stack runs there.
    """
    choice = _choice(stack, user, replica)
    running = engine.containers(stack.name)
    if not any(c.target == HAPROXY and c.pid for c in running):
        raise EngineError(
            f"{stack.name}: no HAProxy of this stack runs on the engine", "start it: `stackctl up`"
        )
    before = time.time()
    snapshot = look(engine, stack, choice=choice)
    after = time.time()
    try:
        made = handshakes(snapshot)
    except Unread as problem:
        raise EngineError(str(problem), "run the command again, and report this message") from None
    labels = next(c.labels for c in running if c.target == HAPROXY)
    return Probed(
        stack.name,
        labels.get("io.stackctl.telemt", ""),
        (*made, *_absent(stack, choice, snapshot)),
        ahead(snapshot, before, after),
    )


def _choice(stack: Stack, user: str, replica: str) -> Choice:
    users = load_secrets(stack.secrets_path).users
    if user and user not in users:
        # The error does not print it: it may be a secret that was meant for another option.
        raise SpecError("--user", "there is no such user", f"one of: {', '.join(users)}")
    names = [replica_name(n) for n in range(1, stack.replicas + 1)]
    if replica and replica not in names:
        raise SpecError("--replica", "there is no such replica", f"one of: {', '.join(names)}")
    wanted = {user: users[user]} if user else dict(users)
    places = 1 if replica else len(names) + 1
    count = len(wanted) * len(stack.telemt.modes) * places
    if count > MOST:
        raise PlanError(
            "users",
            f"{len(wanted)} users at {places} places are {count} handshakes, more than {MOST}",
            "give --user or --replica",
        )
    return Choice(
        users=wanted,
        replicas=(replica,) if replica else None,
        published=not replica,
        arrivals=True,
        seconds=_seconds(len(wanted), len(stack.telemt.modes), places),
    )


def _seconds(users: int, modes: int, places: int) -> float:
    """The longest that all handshakes may take, if every one times out.

    At each place the first failure of each mode is examined, which takes two more tries; later
    clients there have one second each. A healthy stack takes hundredths of a second for each.
    """
    rounds = -(-places // AT_ONCE)
    return min(LONGEST, 10.0 + rounds * modes * (EACH + 4.0 + users))


def _absent(stack: Stack, choice: Choice, snapshot: Snapshot) -> list[StackHandshake]:
    """Handshakes of replicas that do not run: the collector has no record of them."""
    names = choice.replicas or [replica_name(n) for n in range(1, stack.replicas + 1)]
    return [
        StackHandshake(name, user, mode, (), "start", "it does not run", "", None, "", _gone(name))
        for name in names
        if name not in snapshot.running
        for user in choice.users
        for mode in stack.telemt.modes
    ]


def _gone(name: str) -> Cause:
    return Cause("down", f"{name} does not run", "start it: `stackctl up`")
