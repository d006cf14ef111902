"""One answer of an operator to many: each is the same update as a single answer, and none fails the others."""

import asyncio
import time
from dataclasses import dataclass

from temporalio.service import RPCError

from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.orders.orders import OrderStore
from domain.errors import NotFound
from schemas.fulfilment import ParcelOutcome
from schemas.operator_answers import AnswerGiven, AnswerOutcome, AnswersGiven, AnswersRequest, OperatorAnswer
from schemas.order_requests import SettleCompensation, SettleParcel
from temporal_clients.checkouts import CheckoutClient
from temporal_clients.errors import StillWorking, TemporalAway, UpdateRefused, is_temporal_away

_AT_ONCE = 8
_NO_LONGER_WAITING = frozenset({"nothing_blocked", "parcel_not_unknown", "too_late"})


@dataclass(frozen=True)
class _Subject:
    """An order, or one parcel of it."""

    order_id: str
    parcel: int | None = None

    def given(self, outcome: AnswerOutcome, code: str | None = None, detail: str | None = None) -> AnswerGiven:
        return AnswerGiven(order_id=self.order_id, parcel=self.parcel, outcome=outcome, code=code, detail=detail)


class OperatorAnswers:
    """Gives one answer to many, a few at a time in one process; what is not begun in `seconds` is left unanswered."""

    def __init__(self, checkouts: CheckoutClient, orders: OrderStore, tasks: OperatorTaskStore, seconds: float) -> None:
        self._checkouts = checkouts
        self._orders = orders
        self._tasks = tasks
        self._seconds = seconds
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def give(self, request: AnswersRequest, actor: str, request_id: str) -> AnswersGiven:
        """What became of each; the same request id is the same answer to each of them."""
        subjects = await asyncio.to_thread(self._subjects, request)
        known = await asyncio.to_thread(self._orders.existing, {subject.order_id for subject in subjects})
        until = time.monotonic() + self._seconds

        async def one(subject: _Subject) -> AnswerGiven:
            if subject.order_id not in known:
                return subject.given(AnswerOutcome.REFUSED, NotFound.code, "There is no such order.")
            async with self._turns:
                if time.monotonic() >= until:
                    return subject.given(AnswerOutcome.NOT_ANSWERED)
                return await self._give_one(subject, request, actor, request_id)

        return AnswersGiven(items=list(await asyncio.gather(*map(one, subjects))))

    def _subjects(self, request: AnswersRequest) -> list[_Subject]:
        """Each once, as they were named, or the oldest first."""
        if request.code is not None:
            waiting = self._tasks.waiting_orders(request.code, request.limit)
            found = [_Subject(order_id, parcel) for order_id, parcel in waiting]
        elif request.parcels is not None:
            found = [_Subject(str(named.order_id), named.parcel) for named in request.parcels]
        else:
            found = [_Subject(str(order_id)) for order_id in request.orders or ()]
        return list(dict.fromkeys(found))

    async def _give_one(self, subject: _Subject, request: AnswersRequest, actor: str, request_id: str) -> AnswerGiven:
        try:
            await self._send(subject, request, actor, request_id)
        except UpdateRefused as refusal:
            waits_no_more = refusal.code in _NO_LONGER_WAITING
            outcome = AnswerOutcome.NO_LONGER_WAITING if waits_no_more else AnswerOutcome.REFUSED
            return subject.given(outcome, refusal.code, refusal.message)
        except StillWorking:
            return subject.given(AnswerOutcome.ACCEPTED)
        except (TemporalAway, RPCError, RuntimeError) as error:
            if not is_temporal_away(error):
                raise
            return subject.given(AnswerOutcome.NOT_ANSWERED)
        return subject.given(AnswerOutcome.DONE)

    async def _send(self, subject: _Subject, request: AnswersRequest, actor: str, request_id: str) -> None:
        if subject.parcel is None:
            retry = request.answer is OperatorAnswer.RETRY
            decision = SettleCompensation(actor=actor, reason=request.reason, retry=retry)
            await self._checkouts.settle(subject.order_id, request_id, decision)
        else:
            outcome = ParcelOutcome(request.answer)
            settlement = SettleParcel(parcel=subject.parcel, outcome=outcome, actor=actor, reason=request.reason)
            await self._checkouts.settle_parcel(subject.order_id, f"{request_id}-{subject.parcel}", settlement)
