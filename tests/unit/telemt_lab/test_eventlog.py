import asyncio
import json
import os

from telemt_lab.eventlog import EventLog


def test_a_reader_that_stops_costs_lines_and_nothing_else() -> None:
    loop = asyncio.new_event_loop()
    reading, writing = os.pipe()
    log = EventLog(loop, writing)
    # Lines of a kilobyte: twice what is kept for a reader that stopped.
    total = 8_000
    for number in range(total):
        log.client(f"client-{number}", "p" * 1000, "direct")
    received = b""
    os.set_blocking(reading, False)
    for _ in range(1000):
        log.flush()
        try:
            received += os.read(reading, 2**20)
        except BlockingIOError:
            break
    loop.close()
    os.close(reading)
    os.close(writing)

    events = [json.loads(line) for line in received.decode().splitlines()]
    clients = [event for event in events if event["event"] == "client"]
    dropped = [event["lines"] for event in events if event["event"] == "log_dropped"]
    assert [event["client"] for event in clients] == [f"client-{n}" for n in range(len(clients))]
    assert 0 < len(clients) < total
    assert len(clients) + sum(dropped) == total


def test_a_reader_that_is_gone_is_no_error() -> None:
    loop = asyncio.new_event_loop()
    reading, writing = os.pipe()
    os.close(reading)
    log = EventLog(loop, writing)
    log.event("x", {})
    log.flush()
    loop.close()
    os.close(writing)
