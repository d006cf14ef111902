"""Every scheduled workflow records that it succeeded. On the real server: the other one lists no workflows."""

import uuid

import pytest
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.schedule_runs import ScheduleRuns
from tests.workflows.workers import all_workers
from workers.schedules import SCHEDULES, Scheduled


@pytest.mark.parametrize("row", SCHEDULES, ids=lambda row: row.id)
async def test_a_scheduled_run_records_its_success(
    temporal_client: Client, connections: Connections, no_other_worker: None, row: Scheduled
) -> None:
    async with all_workers(temporal_client, connections):
        run = await temporal_client.start_workflow(row.workflow, id=f"{row.id}-{uuid.uuid4()}", task_queue=row.queue)
        await run.result()
    described = await run.describe()
    states = {one.schedule: one for one in ScheduleRuns(connections.engine).states()}
    succeeded_at = states[row.id].succeeded_at
    assert succeeded_at is not None
    assert described.close_time is not None
    assert described.start_time <= succeeded_at <= described.close_time
    seconds = states[row.id].seconds
    assert seconds is not None
    assert 0 <= seconds <= (described.close_time - described.start_time).total_seconds()
