"""Temporal's schedules are what the table says: made, changed, removed, and left alone where they are not ours."""

import asyncio
import sys
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    ScheduleSpec,
)
from temporalio.worker import Worker

from adapters.settings import Settings
from dev.testbed import Testbed
from tests.workflows.waiting import until_async
from workers.runner import WORKFLOWS
from workers.schedules import SCHEDULES, Scheduled, ensure_schedules

DAY = timedelta(days=1)


@workflow.defn(name="TestOfSchedules", sandboxed=False)
class Chore:
    @workflow.run
    async def run(self) -> str:
        return "done"


@pytest.fixture
def apart(settings: Settings) -> Settings:
    """An engine of its own in the same namespace, as far as names go."""
    return settings.model_copy(update={"name_prefix": f"s{uuid.uuid4().hex[:8]}-"})


@pytest.fixture
def rows(apart: Settings) -> list[Scheduled]:
    queue = f"{apart.name_prefix}chores"
    return [Scheduled(name, Chore.run, DAY, queue, f"does the {name}") for name in ("sweeping", "dusting")]


async def ids(client: Client, prefix: str) -> set[str]:
    listed = await client.list_schedules()
    return {one.id.removeprefix(prefix) async for one in listed if one.id.startswith(prefix)}


async def until_listed(client: Client, prefix: str, expected: set[str]) -> None:
    """Temporal's list of schedules is a little behind."""

    async def listed() -> bool:
        return await ids(client, prefix) == expected

    await until_async(listed)


async def test_a_schedule_is_made_once_changed_and_removed(
    temporal_client: Client, apart: Settings, rows: list[Scheduled]
) -> None:
    prefix = apart.name_prefix
    assert (
        await ensure_schedules(apart, rows) == "sweeping made, every 1 day, 0:00:00, dusting made, every 1 day, 0:00:00"
    )
    assert await ensure_schedules(apart, rows) == "2 of them were there"
    await until_listed(temporal_client, prefix, {"sweeping", "dusting"})

    often = replace(rows[0], every=timedelta(hours=2))
    assert await ensure_schedules(apart, [often]) == "sweeping changed, every 2:00:00, dusting removed"
    await until_listed(temporal_client, prefix, {"sweeping"})
    found = (await temporal_client.get_schedule_handle(f"{prefix}sweeping").describe()).schedule
    assert [interval.every for interval in found.spec.intervals] == [timedelta(hours=2)]
    assert found.policy.overlap is ScheduleOverlapPolicy.SKIP
    assert found.policy.catchup_window == timedelta(hours=2)

    assert await ensure_schedules(apart, []) == "sweeping removed"


async def test_what_a_person_has_paused_stays_paused(
    temporal_client: Client, apart: Settings, rows: list[Scheduled]
) -> None:
    await ensure_schedules(apart, rows)
    handle = temporal_client.get_schedule_handle(f"{apart.name_prefix}sweeping")
    await handle.pause(note="the floor is wet")
    await ensure_schedules(apart, [replace(row, every=2 * DAY) for row in rows])
    state = (await handle.describe()).schedule.state
    assert (state.paused, state.note) == (True, "the floor is wet")
    await until_listed(temporal_client, apart.name_prefix, {"sweeping", "dusting"})
    await ensure_schedules(apart, [])


async def test_the_schedules_of_others_are_left_alone(
    temporal_client: Client, apart: Settings, rows: list[Scheduled]
) -> None:
    by_hand = f"{apart.name_prefix}by-hand"
    action = ScheduleActionStartWorkflow("Nothing", id=by_hand, task_queue="nobody")
    spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=DAY)])
    handle = await temporal_client.create_schedule(by_hand, Schedule(action=action, spec=spec))
    await ensure_schedules(apart, rows)
    await until_listed(temporal_client, apart.name_prefix, {"by-hand", "sweeping", "dusting"})
    await ensure_schedules(apart, [])
    assert (await handle.describe()).id == by_hand
    await handle.delete()


async def test_a_run_starts_the_workflow_on_its_queue(
    temporal_client: Client, apart: Settings, rows: list[Scheduled]
) -> None:
    await ensure_schedules(apart, rows)
    handle = temporal_client.get_schedule_handle(f"{apart.name_prefix}sweeping")
    async with Worker(temporal_client, task_queue=rows[0].queue, workflows=[Chore]):
        await handle.trigger()

        async def started() -> bool:
            return bool((await handle.describe()).info.recent_actions)

        await until_async(started)
        run = (await handle.describe()).info.recent_actions[0].action
        assert isinstance(run, ScheduleActionExecutionStartWorkflow)
        assert run.workflow_id.startswith(f"{apart.name_prefix}sweeping-")
        assert await temporal_client.get_workflow_handle(run.workflow_id).result() == "done"
        description = await temporal_client.get_workflow_handle(run.workflow_id).describe()
        assert await description.static_summary() == "does the sweeping"
    await until_listed(temporal_client, apart.name_prefix, {"sweeping", "dusting"})
    await ensure_schedules(apart, [])


async def test_setup_has_made_the_schedules_of_the_table(
    temporal_client: Client, settings: Settings, bed: Testbed
) -> None:
    for row in SCHEDULES:
        found = await temporal_client.get_schedule_handle(f"{settings.name_prefix}{row.id}").describe()
        assert [interval.every for interval in found.schedule.spec.intervals] == [row.every], row.id
    answer = await asyncio.to_thread(bed.run, [sys.executable, "-m", "workers.admin", "setup"])
    assert f"Temporal's schedules: {len(SCHEDULES)} of them were there" in answer


def test_no_two_rows_share_a_name_and_every_queue_knows_its_workflow() -> None:
    known = {queue: [vars(served)["run"] for served in workflows] for queue, workflows in WORKFLOWS.items()}
    assert len({row.id for row in SCHEDULES}) == len(SCHEDULES)
    for row in SCHEDULES:
        assert row.workflow in known[row.queue], row.id
