import asyncio

from telemt_lab.clients import ConnectionLimit


def test_no_cap_is_no_wait() -> None:
    async def check() -> None:
        limit = ConnectionLimit(0, 1)
        assert all([await limit.acquire() for _ in range(1000)])
        limit.release()

    asyncio.run(check())


def test_beyond_the_cap_a_wait_ends_in_time() -> None:
    async def check() -> None:
        limit = ConnectionLimit(2, 10)
        assert await limit.acquire()
        assert await limit.acquire()
        assert not await limit.acquire()
        limit.release()
        assert await limit.acquire()
        assert not await limit.acquire()

    asyncio.run(check())


def test_waiters_are_served_in_order_and_none_is_overtaken() -> None:
    async def check() -> None:
        limit = ConnectionLimit(1, 0)
        await limit.acquire()
        order: list[int] = []

        async def wait(number: int) -> None:
            assert await limit.acquire()
            order.append(number)

        tasks = [asyncio.create_task(wait(number)) for number in range(3)]
        await asyncio.sleep(0)
        for _ in range(3):
            limit.release()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2]

    asyncio.run(check())
