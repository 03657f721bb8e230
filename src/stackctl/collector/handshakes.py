"""Handshakes of real clients: through the published address, and with each replica in turn.

Facts alone: what each hop did, what a second try with another PROXY header did, and what the
replica counted meanwhile. Which cause is likely is judged elsewhere.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from stackctl.collector import procs, published, replica
from stackctl.collector.reading import Deadline, failure
from stackctl.collector.round import Round
from stackctl.collector.target import NotTheTarget, identify
from stackctl.collector.trial import client

_AT_ONCE = 32


def collect(
    request: dict[str, Any], processes: dict[int, procs.Process], deadline: Deadline
) -> dict[str, Any]:
    """The records of all handshakes, and by replica how its users compare with the operator's.

    Raises:
        NotTheTarget: there is no HAProxy to look from.
        ImportError: the image lacks the client.
    """
    client()  # before the threads, which would wait for each other to load it
    targets = {target["name"]: target for target in request["targets"]}
    haproxy = next((t for t in targets.values() if t["role"] == "haproxy"), None)
    if haproxy is None:
        raise NotTheTarget("handshakes were asked for, and no haproxy")
    worker = identify(haproxy, processes).pid
    this = Round(request["handshakes"], deadline)
    names = [name for name in this.asked["links"] if name in targets]

    def place(name: str) -> replica.Place | str:
        try:
            pid = identify(targets[name], processes).pid
            return replica.place(this, targets[name], pid, worker)
        except (OSError, LookupError, NotTheTarget) as problem:
            known = isinstance(problem, NotTheTarget)
            return str(problem) if known else str(failure(problem)["error"])

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        places = dict(zip(names, pool.map(place, names), strict=True))
        there = {name: one for name, one in places.items() if isinstance(one, replica.Place)}
        # The published address first, so that it is not what waits for the others.
        steps = [partial(published.run, this, worker, haproxy, there)]
        steps += [partial(replica.run, this, name, one) for name, one in places.items()]
        for step in [pool.submit(step) for step in steps]:
            step.result()
    return {
        "records": this.records,
        "users": {name: one.running.users for name, one in there.items()},
    }
