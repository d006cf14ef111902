"""What a step does with a cancellation is not what its waiter sees."""

import asyncio

import pytest

from workflows.waiting import run_to_completion, shielded


async def test_a_cancelled_waiter_stops_at_once_and_the_step_goes_on() -> None:
    begun, done, touched = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def step() -> str:
        begun.set()
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:  # as the SDK does while a signal to another workflow is on its way
            touched.set()
        done.set()
        return "signalled"

    waiter = asyncio.create_task(shielded(step()))
    await begun.wait()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert not done.is_set()
    await asyncio.wait_for(done.wait(), 60)
    assert not touched.is_set()


async def test_what_the_step_answers_or_raises_reaches_its_waiter() -> None:
    async def fails() -> None:
        raise ValueError("no such workflow")

    assert await shielded(asyncio.sleep(0, "signalled")) == "signalled"
    with pytest.raises(ValueError, match="no such workflow"):
        await shielded(fails())


async def test_a_step_that_must_end_is_waited_for_however_often_it_is_cancelled() -> None:
    refused: list[str] = []
    go_on = asyncio.Event()

    async def step() -> str:
        await go_on.wait()
        return "done"

    waiter = asyncio.create_task(run_to_completion(step(), refused.append))
    for times in (1, 2, 3):
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (len(refused), waiter.done()) == (times, False)
    go_on.set()
    assert await waiter == "done"


async def test_a_step_that_fails_as_it_is_cancelled_has_failed() -> None:
    async def fails() -> None:
        raise ValueError("no such order")

    refused: list[str] = []
    waiter = asyncio.create_task(run_to_completion(fails(), refused.append))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(ValueError, match="no such order"):
        await waiter
