"""Asking the carrier about a parcel: ever more seldom, because its events normally say everything."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.fulfilment import FulfilmentActivities
from schemas.fulfilment import FindShipment, ShipmentFound
from schemas.operator_tasks import OperatorTaskCode
from workflows.options import CARRIER
from workflows.outage import retry_until_answered
from workflows.reasons import reason_of
from workflows.timeline import Timeline

_SUMMARY = "ask the carrier about the parcel"
_FIRST, _LONGEST = timedelta(hours=6), timedelta(days=1)
_FIRST_URGENT, _LONGEST_URGENT = timedelta(minutes=1), timedelta(hours=1)


class ShipmentInquiry:
    """One timer and one call at a time, beside whatever else the parcel does; the answers wait to be taken."""

    def __init__(self, order_id: str, parcel: int, timeline: Timeline) -> None:
        self.answers: list[ShipmentFound] = []
        self._command = FindShipment(order_id=order_id, number=parcel)
        self._timeline = timeline
        self._task: asyncio.Task[None] | None = None
        self._due: datetime | None = None
        self._changed = False
        self._pause = self._longest = timedelta(hours=1)

    def begin(self) -> None:
        """Ask from now on: the carrier's events say everything, unless one got lost for good."""
        self._begin(_FIRST, _LONGEST)

    def begin_urgently(self) -> None:
        """The same while somebody waits for the answer."""
        self._begin(_FIRST_URGENT, _LONGEST_URGENT)

    def ask_now(self) -> None:
        """Do not wait for the next time."""
        self._ask_at(workflow.now())

    def rest(self) -> None:
        """There is nothing to ask about."""
        self._due = None
        self.answers.clear()

    def _begin(self, first: timedelta, longest: timedelta) -> None:
        """Ask after `first`, then after twice that and so on, up to `longest`."""
        self._pause, self._longest = first, longest
        self._ask_at(workflow.now() + first)

    def _ask_at(self, moment: datetime) -> None:
        # A timer that fires too early is set again; only one that would fire too late is replaced at once.
        self._changed = self._changed or self._due is None or moment < self._due
        self._due = moment
        if self._task is None:
            self._task = asyncio.create_task(self._keep_asking())

    async def _keep_asking(self) -> None:
        while True:
            await self._until_due()
            await self._ask()
            self._pause = min(2 * self._pause, self._longest)
            if self._due is not None and self._due <= workflow.now():
                self._due = workflow.now() + self._pause

    async def _until_due(self) -> None:
        while self._due is None or self._due > workflow.now():
            self._changed = False
            if self._due is None:
                await workflow.wait_condition(lambda: self._changed)
                continue
            rest = self._due - workflow.now()
            with suppress(TimeoutError):
                await workflow.wait_condition(lambda: self._changed, timeout=rest, timeout_summary=_SUMMARY)

    async def _ask(self) -> None:
        try:
            found = await retry_until_answered(
                FulfilmentActivities.retrieve_shipment, self._command, _SUMMARY, self._timeline, CARRIER
            )
        except ActivityError as error:
            self._timeline.needs_operator(
                [f"{_SUMMARY}: {reason_of(error).message}"], about=_SUMMARY, code=OperatorTaskCode.CARRIER_UNANSWERED
            )
            workflow.logger.error("needs operator: the carrier calls our question wrong")
            return
        self._timeline.needs_operator([], about=_SUMMARY)
        if self._due is not None:
            self.answers.append(found)
