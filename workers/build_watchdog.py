"""The watchdog's activities, their adapters and the times of this shop given in."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from temporalio.client import Client

from activities.unanswered_tasks import OverdueDecisionActivities, StaffMailActivities
from activities.watchdog import WatchdogActivities
from adapters.mail.mailer import Mailer
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.orders.promises import Promises
from adapters.mysql.orders.sweeping import UnfinishedOrders
from adapters.mysql.orders.unanswered import UnansweredTasks
from adapters.settings import Settings
from domain.orders import OrderStatus
from domain.watchdog import AnswerTimes
from temporal_clients.checkouts import CheckoutClient
from temporal_clients.overdue import OverdueDecisions
from temporal_clients.parcel_resolutions import ParcelResolutionClient

_PATIENCE_SECONDS = 10.0  # for the answer of one order's workflow


def watchdog_activities(engine: sa.Engine, settings: Settings, client: Client) -> list[Callable[..., Any]]:
    """What looks at all orders, and what decides about those that nobody has answered for."""
    promises = Promises(engine, timedelta(days=settings.backorder_days))
    watchdog = WatchdogActivities(
        UnfinishedOrders(engine), promises, OperatorTaskStore(engine), expected_times(settings)
    )
    resolutions = ParcelResolutionClient(client, _PATIENCE_SECONDS)
    decisions = OverdueDecisions(CheckoutClient(client, _PATIENCE_SECONDS), resolutions, promises)
    overdue = OverdueDecisionActivities(_unanswered(engine, settings), decisions)
    return [watchdog.watch_orders, overdue.decide_overdue]


def staff_mail(engine: sa.Engine, settings: Settings) -> Callable[..., Any]:
    """What reminds staff."""
    return StaffMailActivities(_unanswered(engine, settings), Mailer(settings)).remind_staff


def expected_times(settings: Settings) -> dict[OrderStatus, timedelta]:
    """How long nothing may happen in an order of each status; what is not here has times of its own, such as when its
    parcels ship, or has been waiting for a person ever since it came to that status.
    """
    margin = timedelta(minutes=settings.expected_minutes)
    return {
        OrderStatus.PENDING: margin,
        OrderStatus.CANCELLING: margin,
        OrderStatus.AWAITING_CUSTOMER: timedelta(hours=settings.decision_hours) + margin,
        OrderStatus.AWAITING_PAYMENT: timedelta(minutes=settings.payment_retry_minutes) + margin,
    }


def _unanswered(engine: sa.Engine, settings: Settings) -> UnansweredTasks:
    by_code = {code: timedelta(minutes=each) for code, each in settings.operator_answer_minutes_by_code.items()}
    return UnansweredTasks(engine, AnswerTimes(timedelta(minutes=settings.operator_answer_minutes), by_code))
