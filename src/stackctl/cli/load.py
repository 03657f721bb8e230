"""The command that opens connections to the running stack, holds them, and counts the answers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from stackctl.cli.app import Json, StackFile, app, load_stack
from stackctl.cli.output import check_can_be_written, report_console, write_file

if TYPE_CHECKING:
    from stackctl.traffic.model import LoadPlan
    from stackctl.traffic.run import Progress


class Handshakes(StrEnum):
    """What a client does before it counts as open."""

    NONE = "none"
    SECURE = "secure"
    TLS = "tls"


Connections = Annotated[
    int | None,
    typer.Option("--connections", "-n", min=1, help="How many; without it, the stack's number."),
]
Rate = Annotated[float, typer.Option(min=0, help="New ones a second; 0: as fast as possible.")]
Burst = Annotated[bool, typer.Option("--burst", help="Open all at once.")]
Hold = Annotated[float, typer.Option(min=0, help="Seconds to hold them once all are open.")]
Bytes = Annotated[
    int,
    typer.Option("--bytes", min=0, max=65536, help="Size of round trips while holding; 0: none."),
]
Shake = Annotated[
    Handshakes,
    typer.Option("--handshake", help="none: a small HTTP request, for the lab's fallback site."),
]
Timeout = Annotated[
    float, typer.Option(min=0.1, max=300, help="Seconds that one connection may take to open.")
]
Html = Annotated[
    Path | None,
    typer.Option("--html", help="Verify the limits first, and write all results as one page."),
]


@app.command()
def load(
    file: StackFile = None,
    connections: Connections = None,
    rate: Rate = 0,
    burst: Burst = False,
    hold: Hold = 10,
    size: Bytes = 0,
    handshake: Shake = Handshakes.SECURE,
    timeout: Timeout = 20,
    json: Json = False,
    html: Html = None,
) -> None:
    """Open connections to the running stack, hold them, and count what came back.

    The target must be a lab stack on this machine. A connection counts once its replica answered.
    """
    from stackctl.engine import Engine
    from stackctl.errors import Exit
    from stackctl.operate.sources import running
    from stackctl.report.load import load_document, load_report
    from stackctl.spec import load_secrets
    from stackctl.traffic.model import Load
    from stackctl.traffic.stack import load_running_stack

    if html:
        check_can_be_written(html)
    stack = load_stack(file)
    secrets = load_secrets(stack.secrets_path)
    asked = Load(
        connections=connections or stack.connections,
        rate=rate,
        burst=burst,
        hold=hold,
        bytes=size,
        handshake=handshake.value,
        timeout=timeout,
    )
    engine = Engine.connect()
    try:
        with _signals_as_interrupts(), _bar(asked.connections) as (planned, each):
            sources = running(stack, engine)
            result = load_running_stack(
                stack, secrets, engine, sources, asked, planned, each, bool(html)
            )
    except KeyboardInterrupt:
        print("interrupted: every connection of the load is closed", file=sys.stderr)
        raise typer.Exit(int(Exit.INTERRUPTED)) from None
    if json:
        from stackctl.report.jsontext import to_json

        print(to_json(load_document(result)))
    else:
        load_report(report_console(), result)
    if html:
        from datetime import datetime

        from stackctl.report.page import load_page

        write_file(html, load_page(result, datetime.now().astimezone()))
    raise typer.Exit(int(result.exit_status))


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP end a load as Ctrl-C does: everything of it is closed."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # SIGINT too: a shell starts background processes with SIGINT ignored.
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(
    connections: int,
) -> Iterator[tuple[Callable[[LoadPlan], None], Callable[[Progress], None]]]:
    """Functions that show the plan's warnings and the progress: a bar on a terminal, else lines."""

    def planned(plan: LoadPlan) -> None:
        for warning in plan.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        sources = len(plan.sources) or 1
        print(
            f"{plan.load.connections} connections to {plan.target.host}:{plan.target.port} from "
            f"{sources} address{'es' * (sources > 1)}, {len(plan.shares)} processes",
            file=sys.stderr,
            flush=True,
        )

    if not sys.stderr.isatty():
        yield planned, _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    words = TextColumn("{task.description}")
    with Bar(words, BarColumn(), TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=connections)
        speed = _Speed()

        def each(now: Progress) -> None:
            bar.update(task, completed=now.held, description=_words(now, speed(now)))

        yield planned, each


class _Speed:
    """Connections opened a second, over the last second or so."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = [(0.0, 0)]

    def __call__(self, now: Progress) -> float:
        self._seen = [old for old in self._seen if now.seconds - old[0] < 1.5]
        self._seen.append((now.seconds, now.opened))
        (then, before), (last, opened) = self._seen[0], self._seen[-1]
        return (opened - before) / (last - then) if last > then else 0.0


class _Lines:
    """A line every two seconds, for logs."""

    def __init__(self) -> None:
        self._next = 0.0
        self._speed = _Speed()

    def __call__(self, now: Progress) -> None:
        speed = self._speed(now)
        if now.seconds >= self._next:
            self._next = now.seconds + 2.0
            print(f"{now.seconds:5.1f} s  {_words(now, speed)}", file=sys.stderr, flush=True)


def _words(now: Progress, speed: float) -> str:
    doing = "opening" if now.opening else "holding"
    gone = f", {now.lost} lost" if now.lost else ""
    return f"{doing}: {now.held} held, {now.failed} failed{gone}, {speed:.0f}/s"
