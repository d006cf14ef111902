"""What a deed does with a cancellation is not what its waiter feels."""

import asyncio

import pytest

from workflows.waiting import run_to_completion, shielded


async def test_cancellation_is_felt_at_once_although_the_deed_swallows_it_and_the_deed_goes_on() -> None:
    begun, done, touched = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def deed() -> str:
        begun.set()
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:  # as the SDK does while a signal to another workflow is on its way
            touched.set()
        done.set()
        return "signalled"

    waiter = asyncio.create_task(shielded(deed()))
    await begun.wait()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert not done.is_set()
    await asyncio.wait_for(done.wait(), 1)
    assert not touched.is_set()


async def test_what_the_deed_answers_or_raises_reaches_its_waiter() -> None:
    async def fails() -> None:
        raise ValueError("no such workflow")

    assert await shielded(asyncio.sleep(0, "signalled")) == "signalled"
    with pytest.raises(ValueError, match="no such workflow"):
        await shielded(fails())


async def test_a_deed_that_nobody_else_would_finish_is_waited_for_however_often_it_is_to_stop() -> None:
    told: list[str] = []
    go_on = asyncio.Event()

    async def deed() -> str:
        await go_on.wait()
        return "done"

    waiter = asyncio.create_task(run_to_completion(deed(), told.append))
    for times in (1, 2, 3):
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (len(told), waiter.done()) == (times, False)
    go_on.set()
    assert await waiter == "done"


async def test_a_deed_that_ends_as_it_is_to_stop_has_ended_as_it_did() -> None:
    async def fails() -> None:
        raise ValueError("no such order")

    waiter = asyncio.create_task(run_to_completion(fails(), [].append))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(ValueError, match="no such order"):
        await waiter
