"""Operator tasks that a scheduled look at all orders finds; the next look ends what is mended."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from activities.failures import typed_failures
from schemas.operator_tasks import OperatorTask, RecordOperatorTasks

if TYPE_CHECKING:
    from adapters.mysql.orders.operator_tasks import OperatorTaskStore


class FoundTasks:
    """Recorded as if a workflow of this order had them, whose id begins with `source`: a repeat finds them there."""

    def __init__(self, tasks: "OperatorTaskStore", source: str) -> None:
        self._tasks = tasks
        self._source = source

    async def record(self, order_id: str, tasks: Sequence[OperatorTask]) -> None:
        """These are what was found about the order now, and nothing else."""
        command = RecordOperatorTasks(
            workflow_id=f"{self._source}{order_id}",
            revision=int(datetime.now(UTC).timestamp() * 1_000_000),
            order_id=order_id,
            tasks=list(tasks),
        )
        with typed_failures():
            await asyncio.to_thread(self._tasks.record, command)

    async def orders(self) -> list[str]:
        """The orders about which something that was found is open."""
        open_workflows = await asyncio.to_thread(self._tasks.open_workflows, self._source)
        return [workflow_id.removeprefix(self._source) for workflow_id in open_workflows]

    async def end_others(self, found: Collection[str]) -> int:
        """End what was found earlier about every other order; answers of how many."""
        mended = 0
        for order_id in await self.orders():
            if order_id not in found:
                await self.record(order_id, [])
                mended += 1
        return mended
