"""What nobody answers is mailed to staff: as a reminder, then as an escalation, each once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import uuid_utils

from activities.unanswered_tasks import StaffMailActivities
from adapters.connections import Connections
from adapters.mail.mailer import Mailer
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.orders.unanswered import UnansweredTasks
from adapters.settings import Settings
from dev.testbed import Testbed
from domain.outside_errors import Unavailable
from domain.watchdog import AnswerTimes, Level
from schemas.operator_tasks import OperatorTask, OperatorTaskCode, RecordOperatorTasks
from schemas.watchdog import Rule, SafeDecision

REFUND = SafeDecision.REFUND_PARCEL
REVIEW, LOST = OperatorTaskCode.RISK_REVIEW, OperatorTaskCode.PARCEL_LOST
TIMES = AnswerTimes(timedelta(hours=1), {REVIEW: timedelta(minutes=10)})

Wait = Callable[..., str]


@pytest.fixture
def wait(connections: Connections) -> Wait:
    """Something waits since so long ago; answers of which workflow it is."""

    def record(ago: timedelta, code: OperatorTaskCode = LOST, workflow_id: str | None = None, **more: object) -> str:
        moment = datetime.now(UTC)
        workflow = workflow_id or f"test-{uuid_utils.uuid7()}"
        task = OperatorTask(code=code, text="somebody has to look", since=moment - ago).model_copy(update=more)
        command = RecordOperatorTasks(
            workflow_id=workflow, revision=int(moment.timestamp() * 1e6), order_id=None, tasks=[task]
        )
        OperatorTaskStore(connections.engine).record(command)
        return workflow

    return record


@pytest.fixture
def tasks(connections: Connections) -> UnansweredTasks:
    return UnansweredTasks(connections.engine, TIMES)


def due(tasks: UnansweredTasks, level: Level) -> set[str]:
    return {task.workflow_id for task in tasks.due(level, datetime.now(UTC), 10_000)}


def mark(tasks: UnansweredTasks, level: Level, workflow_id: str) -> None:
    moment = datetime.now(UTC)
    ids = [task.id for task in tasks.due(level, moment, 10_000) if task.workflow_id == workflow_id]
    tasks.mark(level, ids, moment)


def test_each_code_has_its_time_to_be_answered(tasks: UnansweredTasks, wait: Wait) -> None:
    def minutes(number: int, code: OperatorTaskCode) -> str:
        return wait(timedelta(minutes=number), code)

    early, lost, review = minutes(50, LOST), minutes(70, LOST), minutes(15, REVIEW)
    late_lost, late_review = minutes(130, LOST), minutes(25, REVIEW)
    mine = {early, lost, review, late_lost, late_review}
    assert due(tasks, Level.REMINDED) & mine == mine - {early}
    assert due(tasks, Level.ESCALATED) & mine == {late_lost, late_review}


def test_a_mark_is_of_one_wait_only(tasks: UnansweredTasks, wait: Wait) -> None:
    workflow = wait(timedelta(hours=3))
    for level in (Level.REMINDED, Level.ESCALATED):
        mark(tasks, level, workflow)
        assert workflow not in due(tasks, level)
    # It was answered, and the same thing waits again, until it is too long once more.
    wait(timedelta(hours=-4), workflow_id=workflow)
    later = datetime.now(UTC) + timedelta(hours=5, minutes=30)
    assert workflow in {task.workflow_id for task in tasks.due(Level.REMINDED, later, 10_000)}


def test_a_rule_decides_when_it_says_so_or_when_nobody_answers(tasks: UnansweredTasks, wait: Wait) -> None:
    def to_decide(**rule: bool) -> set[str]:
        found = tasks.to_decide({LOST: Rule(REFUND, **rule)}, datetime.now(UTC), 10_000)
        return {task.workflow_id for task in found}

    moment = datetime.now(UTC)
    soon, long = wait(timedelta(hours=3)), wait(timedelta(hours=5))
    not_yet = wait(timedelta(hours=5), until=moment + timedelta(hours=1))
    now = wait(timedelta(minutes=5), until=moment - timedelta(minutes=1))
    other = wait(timedelta(hours=5), REVIEW)
    assert to_decide() & {soon, long, not_yet, now, other} == {long, now}
    assert to_decide(when_due=True) & {soon, long, not_yet, now, other} == {now}
    due_now = tasks.to_decide({LOST: Rule(REFUND)}, moment, 10_000)
    ids = [task.id for task in due_now if task.workflow_id in (long, now)]
    tasks.mark(Level.DECIDED, ids, moment)
    assert to_decide() & {long, now} == set()
    tasks.mark(Level.DECIDED, ids, moment - timedelta(hours=4, minutes=30))
    assert to_decide() & {long, now} == {long, now}
    assert to_decide(once=True) & {long, now} == set()


def test_staff_are_mailed_once_at_each_level(
    *, bed: Testbed, settings: Settings, tasks: UnansweredTasks, wait: Wait
) -> None:
    unique = uuid_utils.uuid7().hex
    addresses = {"operations_mail": f"ops-{unique}@shop.example", "escalation_mail": f"boss-{unique}@shop.example"}
    mails = StaffMailActivities(tasks, Mailer(settings.model_copy(update=addresses)))
    text = f"somebody has to look at {unique}"
    wait(timedelta(minutes=70), text=text, route="POST /v1/ops/orders/1/compensation")
    wait(timedelta(minutes=130), text=text)
    for _ in range(2):
        mails.remind_staff()

    def received(address: str) -> list[str]:
        api = f"{bed.url('MAIL_UI_PORT')}/api/v1"
        listed = httpx2.get(f"{api}/search", params={"query": f"to:{address}"}).json()["messages"]
        return [httpx2.get(f"{api}/message/{one['ID']}").json()["Text"] for one in listed]

    (reminder,), (escalation,) = (received(address) for address in addresses.values())
    assert (reminder.count(text), escalation.count(text)) == (2, 1)
    assert "POST /v1/ops/orders/1/compensation" in reminder


def test_what_could_not_be_mailed_is_mailed_later(*, settings: Settings, tasks: UnansweredTasks, wait: Wait) -> None:
    workflow = wait(timedelta(minutes=70))
    away = settings.model_copy(update={"operations_mail": "ops@shop.example", "smtp_port": 1})
    with pytest.raises(Unavailable):
        StaffMailActivities(tasks, Mailer(away))._mail(Level.REMINDED)
    assert workflow in due(tasks, Level.REMINDED)
