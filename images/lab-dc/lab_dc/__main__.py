"""The command line: `lab-dc --dc IP:PORT --site IP:PORT --status IP:PORT --domain NAME`."""

import argparse
import asyncio
import sys
from collections.abc import Callable

from . import NOTICE
from .server import Address, Arguments, run


def main(argv: list[str]) -> int:
    """Run the command line without the program's name; returns the exit code."""
    parser = argparse.ArgumentParser("lab-dc", description=NOTICE)
    parser.add_argument("--dc", type=_address, default=("0.0.0.0", 8888))
    parser.add_argument("--site", type=_address, default=("0.0.0.0", 8443))
    parser.add_argument("--status", type=_address, default=("0.0.0.0", 8080))
    parser.add_argument("--domain", default="www.example.com")
    parser.add_argument("--version", action="version", version=f"lab-dc ({NOTICE})")
    given = parser.parse_args(argv)
    arguments = Arguments(given.dc, given.site, given.status, given.domain)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run(arguments))
    except OSError as error:
        print(f"lab-dc: {error}; give other addresses with --dc, --site, --status", file=sys.stderr)
        return 1
    return 0


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    try:
        return host.strip("[]"), int(port)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not IP:PORT") from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
