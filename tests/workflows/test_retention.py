"""RetentionWorkflow on production's workers: what is old goes, kind by kind, and one that fails holds up no other."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from adapters.connections import Connections
from adapters.mysql.clock import now
from adapters.mysql.schedule_runs import ScheduleRuns
from adapters.mysql.tables.shared import notifications, webhook_receipts
from domain.retention import RETENTION, DataKind
from schemas.retention import RetentionApplied
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import current_details, until_details
from workflows.names import ORDERS_QUEUE, RETENTION_ID
from workflows.retention import LONGEST, RetentionWorkflow

DAY = timedelta(days=1)


def receive_webhook(connections: Connections, days: float) -> str:
    """A webhook that came so many days ago."""
    event_id = f"evt_{uuid.uuid4()}"
    row = {"source": "test", "event_id": event_id, "type": "test", "outcome": "applied"}
    with connections.engine.begin() as connection:
        connection.execute(sa.insert(webhook_receipts).values(row | {"received_at": now() - days * DAY}))
    return event_id


def send_mail(connections: Connections, days: float) -> str:
    """A mail that was sent so many days ago."""
    event_id = str(uuid.uuid4())
    row = {"event_id": event_id, "channel": "mail", "order_id": event_id, "recipient": "a@shop.example"}
    with connections.engine.begin() as connection:
        connection.execute(sa.insert(notifications).values(row | {"message_id": "1", "sent_at": now() - days * DAY}))
    return event_id


def kept(connections: Connections, table: sa.Table, event_ids: list[str]) -> list[str]:
    query = sa.select(table.c.event_id).where(table.c.event_id.in_(event_ids))
    with connections.engine.connect() as connection:
        found = set(connection.scalars(query))
    return [event_id for event_id in event_ids if event_id in found]


@contextmanager
def out_of_the_way(connections: Connections, table: sa.Table) -> Iterator[None]:
    """The table is not there for the length of the block."""
    away = f"{table.name}_away"
    with connections.engine.begin() as connection:
        connection.execute(sa.text(f"RENAME TABLE {table.name} TO {away}"))
    try:
        yield
    finally:
        with connections.engine.begin() as connection:
            connection.execute(sa.text(f"RENAME TABLE {away} TO {table.name}"))


async def test_what_is_old_goes_and_the_run_says_how_much(skipping: Client, connections: Connections) -> None:
    days = RETENTION[DataKind.WEBHOOK_RECEIPTS].days
    receipts = [receive_webhook(connections, age) for age in (days + 1, days - 1)]
    mails = [send_mail(connections, age) for age in (RETENTION[DataKind.NOTIFICATIONS].days + 1, 0)]
    run = await skipping.start_workflow(RetentionWorkflow.run, id=f"retention-{uuid.uuid4()}", task_queue=ORDERS_QUEUE)
    applied: RetentionApplied = await run.result()
    assert [purged.kind for purged in applied.purged] == list(DataKind)
    rows = {purged.kind: purged.rows for purged in applied.purged}
    assert rows[DataKind.WEBHOOK_RECEIPTS] >= 1
    assert all(purged.finished for purged in applied.purged)
    assert kept(connections, webhook_receipts, receipts) == receipts[1:]
    assert kept(connections, notifications, mails) == mails[1:]
    details = await current_details(run)
    assert f"**{sum(rows.values()):,} row(s) purged or archived**" in details
    assert f"`webhook_receipts`: {rows[DataKind.WEBHOOK_RECEIPTS]:,}" in details


async def test_a_kind_that_fails_holds_up_no_other_and_fails_the_run(
    skipping: Client, connections: Connections
) -> None:
    before = {one.schedule: one.succeeded_at for one in ScheduleRuns(connections.engine).states()}
    mail = send_mail(connections, RETENTION[DataKind.NOTIFICATIONS].days + 1)
    with out_of_the_way(connections, webhook_receipts):
        run = await skipping.start_workflow(
            RetentionWorkflow.run, id=f"retention-{uuid.uuid4()}", task_queue=ORDERS_QUEUE
        )
        await until_details(run, "`idempotency_keys`")  # so the next kind is being tried
        await skip(skipping, LONGEST + timedelta(seconds=1))
        with pytest.raises(WorkflowFailureError) as failed:
            await run.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert (failed.value.cause.type, failed.value.cause.message) == (
        "RetentionFailed",
        "not purged: webhook_receipts",
    )
    assert kept(connections, notifications, [mail]) == []
    assert "`webhook_receipts` could not be purged" in await current_details(run)
    after = {one.schedule: one.succeeded_at for one in ScheduleRuns(connections.engine).states()}
    assert after.get(RETENTION_ID) == before.get(RETENTION_ID)
