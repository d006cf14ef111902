"""Scheduled work on stock. Each run reads much at once and may take a while, so it sends heartbeats."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from temporalio import activity

from activities.failures import typed_failures
from schemas.stock import StockAllocated
from schemas.stock_upkeep import ReconcileStock, ReservationsExpired, StockDifference, StockReconciled

if TYPE_CHECKING:
    from adapters.mysql.orders.reservations import Overdue, Reservations
    from adapters.mysql.orders.stock_reconciliations import StockReconciliations

_PAGE = 100
_MOST_NAMED = 50  # results are read by people
_MOST_REMEMBERED = 500


class RunningOrders(Protocol):
    """What Temporal knows of orders."""

    async def is_running(self, order_id: str, parcels: Iterable[int]) -> bool:
        """Whether a workflow of the order runs."""

    async def signal_allocations(self, allocated: Iterable[StockAllocated]) -> None:
        """Signal parcels that are completely allocated."""


class StockUpkeepActivities:
    """Many short transactions on our own database."""

    def __init__(
        self, reservations: "Reservations", reconciliations: "StockReconciliations", orders: RunningOrders
    ) -> None:
        self._reservations = reservations
        self._reconciliations = reconciliations
        self._orders = orders

    @activity.defn
    async def expire_reservations(self) -> ReservationsExpired:
        """Release overdue reservations of orders without a running workflow; those of running orders are named.

        While Temporal does not answer nothing is released.
        """
        released = units = 0
        running: list[str] = []
        after: Overdue | None = None
        while page := await asyncio.to_thread(self._reservations.overdue, after, _PAGE):
            for overdue in page:
                activity.heartbeat(released, len(running))
                units_released = await self._expire(overdue.order_id, running)
                if units_released is not None:
                    released, units = released + 1, units + units_released
            after = page[-1]
        return ReservationsExpired(
            released=released, units=units, running_count=len(running), running=running[:_MOST_NAMED]
        )

    async def _expire(self, order_id: str, running: list[str]) -> int | None:
        parcels = await asyncio.to_thread(self._reservations.parcels, order_id)
        if await self._orders.is_running(order_id, parcels):
            running.append(order_id)
            return None
        with typed_failures():
            released = await asyncio.to_thread(self._reservations.expire, order_id)
        if released is None:
            return None
        activity.logger.warning("the reservation of order %s has expired: %d unit(s)", order_id, released.units)
        await self._orders.signal_allocations(released.allocated)
        return released.units

    @activity.defn
    def reconcile_stock(self, command: ReconcileStock) -> StockReconciled:
        """Compare ledger, balances and reservations page by page; a repeat continues after the last heartbeat."""
        after, levels, found = "", 0, 0
        differences: list[StockDifference] = []
        if activity.info().heartbeat_details:
            after, levels, found, kept = activity.info().heartbeat_details
            differences = [StockDifference.model_validate(difference) for difference in kept]
        for checked in self._reconciliations.check_new(command.started_at, after):
            levels, found = levels + checked.levels, found + len(checked.differences)
            differences = [*differences, *checked.differences][:_MOST_REMEMBERED]
            activity.heartbeat(checked.after, levels, found, differences)
        self._reconciliations.keep(command.started_at, levels, found, differences)
        if found:
            named = ", ".join(sorted({difference.sku for difference in differences})[:_MOST_NAMED])
            activity.logger.error(
                "stock ledger, balances and reservations disagree: %d difference(s), of %s", found, named
            )
        return StockReconciled(levels_checked=levels, differences_found=found)
