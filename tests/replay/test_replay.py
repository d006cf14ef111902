"""Orders that are running somewhere must survive a deploy: every stored history replays on the current code."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from dev.histories.record_authorization_void import AUTHORIZATION_VOID
from dev.histories.record_failed_refund import FAILED_REFUND
from dev.histories.record_histories import PATHS, REFUNDS
from dev.histories.record_orphaned_payment import ORPHANED_PAYMENTS
from dev.histories.record_staff_decisions import STAFF_DECISIONS
from tests.replay.versioning import RETIRED
from workers.runner import WORKFLOWS, new_sandbox_runner
from workers.schedules import SCHEDULES

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))
REPLAYED = [path for path in HISTORIES if path.stem not in RETIRED]
MOST_EVENTS = 100
MOST_BYTES = 60_000


@pytest.mark.parametrize("path", REPLAYED, ids=lambda path: path.stem)
async def test_stored_history_replays(path: Path) -> None:
    replayer = Replayer(
        workflows=[workflow for workflows in WORKFLOWS.values() for workflow in workflows],
        data_converter=pydantic_data_converter,
        workflow_runner=new_sandbox_runner(),
    )
    await replayer.replay_workflow(WorkflowHistory.from_json(path.stem, path.read_text()))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_history_stays_within_its_budget(path: Path) -> None:
    text = path.read_text()
    assert len(json.loads(text)["events"]) <= MOST_EVENTS
    assert len(json.dumps(json.loads(text), separators=(",", ":"))) <= MOST_BYTES


def test_every_workflow_and_every_path_has_a_history() -> None:
    names = {path.stem for path in HISTORIES}
    paths = set(PATHS)
    assert {f"checkout-{path}" for path in paths} <= names
    assert {f"payment-{path}" for path in paths} <= names
    assert {
        "fulfilment-delivered",
        "fulfilment-two_parcels",
        "fulfilment-refused",
        "fulfilment-backordered",
        "fulfilment-dispute_won",
        "fulfilment-dispute_lost",
        "dispute-won",
        "dispute-lost",
        "notification",
        "account_mail",
        "reindex",
        *REFUNDS,
        *ORPHANED_PAYMENTS,
        FAILED_REFUND,
        *AUTHORIZATION_VOID,
        *STAFF_DECISIONS,
        *(row.id for row in SCHEDULES),
    } <= names
