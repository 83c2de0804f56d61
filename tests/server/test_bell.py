"""A bell wakes its task at once, and is a future in all else."""

import asyncio

import pytest

from app.server.core.bell import Bell


def test_who_waits_goes_on_before_ring_returns() -> None:
    heard: list[str] = []

    async def wait(bell: Bell) -> None:
        await bell
        heard.append("on")

    async def run() -> None:
        loop = asyncio.get_running_loop()
        bell, is_over = Bell(loop=loop), loop.create_future()
        task = asyncio.ensure_future(wait(bell))
        await asyncio.sleep(0)

        def ring() -> None:
            bell.ring()
            heard.append("rung")
            bell.ring()
            is_over.set_result(None)

        loop.call_soon(ring)
        await is_over
        await task

    asyncio.run(run())
    assert heard == ["on", "rung"]


@pytest.mark.parametrize("is_awaited", [False, True])
def test_one_that_rang_before_is_not_waited_for(is_awaited: bool) -> None:
    async def run() -> bool:
        bell = Bell(loop=asyncio.get_running_loop())
        if is_awaited:
            bell.set_result(None)
        else:
            bell.ring()
        await bell
        return True

    assert asyncio.run(run())


def test_a_task_that_is_cancelled_hears_no_ring() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        bell = Bell(loop=loop)

        async def wait() -> None:
            await bell

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        bell.ring()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_patience_ends_the_wait() -> None:
    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await Bell(loop=asyncio.get_running_loop())

    asyncio.run(run())
