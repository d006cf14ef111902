"""What a rule does about an order that nobody has answered for: its workflow's own updates, within their limits."""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio.service import RPCError

from activities.unanswered_tasks import UNAVAILABLE
from adapters.mysql.orders.promises import Promises
from domain.actors import WATCHDOG_ACTOR
from schemas.checkout import CancelledLine
from schemas.fulfilment import ParcelOutcome
from schemas.operator_tasks import UnansweredTask
from schemas.order_requests import CancelOrder, SettleCompensation, SettleParcel
from schemas.watchdog import SafeDecision
from temporal_clients.checkouts import CheckoutClient
from temporal_clients.errors import StillWorking, TemporalAway, UpdateRefused, is_temporal_away
from temporal_clients.parcel_resolutions import ParcelResolutionClient

_NO_PARCEL = 0  # which the order refuses
_UNANSWERED = "nobody has answered in time"


class OverdueDecisions:
    """Each is an update under an id of its own, so that an attempt that is repeated changes nothing."""

    def __init__(self, checkouts: CheckoutClient, resolutions: ParcelResolutionClient, promises: Promises) -> None:
        self._checkouts = checkouts
        self._resolutions = resolutions
        self._promises = promises
        self._by_decision: dict[SafeDecision, Callable[[str, str, int], Awaitable[None]]] = {
            SafeDecision.RETRY_COMPENSATION: self._retry_compensation,
            SafeDecision.ASK_CARRIER: self._ask_carrier,
            SafeDecision.CANCEL_BACKORDER: self._cancel_backorder,
            SafeDecision.REFUND_PARCEL: self._refund_parcel,
        }

    async def decide(self, decision: SafeDecision, task: UnansweredTask) -> str | None:
        """Carry the decision out; the code of the refusal, or None once it is done or under way."""
        if task.order_id is None:
            return "no_order"
        update_id = f"watchdog-{task.id}-{int((task.decided_at or task.since).timestamp())}"
        carry_out = self._by_decision[decision]
        try:
            await carry_out(task.order_id, update_id, task.parcel or _NO_PARCEL)
        except UpdateRefused as refusal:
            return refusal.code
        except StillWorking:
            return None
        except (TemporalAway, RPCError, RuntimeError) as error:
            if not is_temporal_away(error):
                raise
            return UNAVAILABLE
        return None

    async def _retry_compensation(self, order_id: str, update_id: str, _: int) -> None:
        retry = SettleCompensation(actor=WATCHDOG_ACTOR, reason=_UNANSWERED, retry=True)
        await self._checkouts.settle(order_id, update_id, retry)

    async def _ask_carrier(self, order_id: str, update_id: str, parcel: int) -> None:
        settlement = SettleParcel(parcel=parcel, outcome=ParcelOutcome.RETRY, actor=WATCHDOG_ACTOR, reason=_UNANSWERED)
        await self._checkouts.settle_parcel(order_id, update_id, settlement)

    async def _cancel_backorder(self, order_id: str, update_id: str, parcel: int) -> None:
        """Nothing is left to be cancelled when the goods have come, or the customer waits longer."""
        missing = await asyncio.to_thread(self._promises.overdue_units, order_id, parcel)
        if missing:
            lines = [CancelledLine(sku=sku, quantity=quantity) for sku, quantity in missing.items()]
            request = CancelOrder(actor=WATCHDOG_ACTOR, reason="its goods have not arrived in time", lines=lines)
            await self._checkouts.cancel(order_id, update_id, request)

    async def _refund_parcel(self, order_id: str, _: str, parcel: int) -> None:
        answer = await self._resolutions.refund_by_rule(order_id, parcel, _UNANSWERED)
        if answer.code is not None:
            raise UpdateRefused(answer.code, answer.message or "")
