"""What goes through the pipes: orders there, tallies back."""

from __future__ import annotations

from stackctl.mtproto import Secret
from stackctl.traffic.model import Load, LoadPlan, Share, Tally, Target
from stackctl.traffic.order import dump_order, dump_tally, load_order, load_tally, orders

PLAN = LoadPlan(
    load=Load(30, rate=9.0, handshake="tls"),
    target=Target("127.0.0.1", 1, "a.example"),
    shares=(Share(0, 20), Share(20, 10)),
    sources=("127.0.1.1", "127.0.1.2"),
    open_seconds=5.0,
)
SECRETS = (Secret("tls", bytes(range(16)), "a.example"),)


def test_orders_share_the_load_and_come_through_a_pipe_whole() -> None:
    made = orders(PLAN, SECRETS, b"seed")
    assert [(o.first, o.load.connections, o.load.rate) for o in made] == [
        (0, 20, 6.0),
        (20, 10, 3.0),
    ]
    assert tuple(load_order(dump_order(order)) for order in made) == made
    assert dump_order(made[0]).count(b"\n") == 1


def test_an_order_shows_no_secret() -> None:
    shown = repr(orders(PLAN, SECRETS, b"seed")[0])
    assert "seed" not in shown.replace("seconds", "")
    assert "Secret" not in shown


def test_tallies_come_through_a_pipe_and_add_up() -> None:
    one = Tally(opened=3, failed={"reset": 1}, held=2, lost={"closed": 1}, opening=2.0, own_bytes=9)
    one.connect.record([1000])
    other = Tally(opened=1, failed={"reset": 2, "closed": 1}, late=1, held=1, opening=1.0)
    other.connect.record([2_000_000])
    total = Tally()
    for tally in (one, other):
        total.add(load_tally(dump_tally(tally)))
    assert (total.opened, total.held, total.late, total.own_bytes) == (4, 3, 1, 9)
    assert total.failed == {"reset": 3, "closed": 1}
    assert total.lost == {"closed": 1}
    assert total.opening == 2.0
    assert (total.connect.count, total.connect.highest) == (2, 2_000_000)
