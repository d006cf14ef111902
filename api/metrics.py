"""What Prometheus reads of the engine as a whole: what needs an operator, money to be moved, and scheduled work."""

from collections.abc import Iterator
from datetime import UTC, datetime

import structlog
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapters.failures import OUTAGES
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.payments.amounts_due import AmountsDue
from adapters.mysql.schedule_runs import ScheduleRuns
from schemas.operator_tasks import OperatorTaskCode

_log = structlog.get_logger(__name__)


class EngineMetrics(Collector):
    """Read from MySQL whenever they are asked for: the same from every API process, so one of them is enough."""

    def __init__(self, tasks: OperatorTaskStore, amounts: AmountsDue, runs: ScheduleRuns) -> None:
        self._tasks = tasks
        self._amounts = amounts
        self._runs = runs

    def collect(self) -> Iterator[Metric]:
        """While MySQL is away only that is said."""
        try:
            found = [*self._operator_tasks(), self._amounts_due(), *self._schedules()]
        except OUTAGES as outage:
            _log.warning("the metrics of MySQL cannot be read", error=str(outage)[:200])
            found = []
        yield GaugeMetricFamily("orders_mysql_up", "Whether MySQL answers.", value=1.0 if found else 0.0)
        yield from found

    def describe(self) -> Iterator[Metric]:
        """Nothing ahead of time: registering must not ask the database."""
        return iter(())

    def _operator_tasks(self) -> list[Metric]:
        count = GaugeMetricFamily("orders_needs_operator", "What waits for a person, by code.", labels=["code"])
        oldest = GaugeMetricFamily(
            "orders_needs_operator_oldest_seconds", "For how long the oldest of it has waited.", labels=["code"]
        )
        found, moment = self._tasks.counts(), datetime.now(UTC)
        # Every code at all times, so that an alert sees it return to zero.
        for code in sorted({*map(str, OperatorTaskCode), *found}):
            number, since = found.get(code, (0, moment))
            count.add_metric([code], number)
            oldest.add_metric([code], max(0.0, (moment - since).total_seconds()))
        return [count, oldest]

    def _amounts_due(self) -> Metric:
        due = GaugeMetricFamily(
            "orders_amount_due_minor_units", "Money to be moved and not moved yet.", labels=["kind", "currency"]
        )
        for kind, sums in (("refund", self._amounts.refunds()), ("capture", self._amounts.captures())):
            for currency, amount in sums.items():
                due.add_metric([kind, currency], amount)
        return due

    def _schedules(self) -> list[Metric]:
        last = GaugeMetricFamily(
            "orders_schedule_last_success_timestamp_seconds",
            "When the last run that succeeded ended; until there is one, when the schedule was made.",
            labels=["schedule"],
        )
        every = GaugeMetricFamily("orders_schedule_interval_seconds", "How often it runs.", labels=["schedule"])
        took = GaugeMetricFamily(
            "orders_schedule_last_duration_seconds", "How long that run took.", labels=["schedule"]
        )
        for state in self._runs.states():
            last.add_metric([state.schedule], (state.succeeded_at or state.known_since).timestamp())
            if state.every_seconds is not None:
                every.add_metric([state.schedule], state.every_seconds)
            if state.seconds is not None:
                took.add_metric([state.schedule], state.seconds)
        return [last, every, took]


def build_metrics(tasks: OperatorTaskStore, amounts: AmountsDue, runs: ScheduleRuns) -> CollectorRegistry:
    """What this process shows: the engine's metrics and its own."""
    registry = CollectorRegistry()
    for collector in (EngineMetrics(tasks, amounts, runs), PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        registry.register(collector)
    return registry
