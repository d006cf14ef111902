"""Asking a workflow and waiting for its answer, for as long as one request may take."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar, Literal, TypeVar

from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.types import MethodAsyncSingleParam
from temporalio.workflow import UpdateMethodMultiParam

from temporal_clients.errors import StillWorking, TemporalAway, UpdateRefused

QUICK = timedelta(seconds=5)

P = TypeVar("P")
S = TypeVar("S")
T = TypeVar("T")


class WorkflowClient:
    """Asks workflows, and waits no longer than `patience_seconds` for an answer."""

    ended: ClassVar = ("too_late", "The order has ended.")
    """Code and message of the refusal when the workflow has ended."""

    def __init__(self, client: Client, patience_seconds: float) -> None:
        self.client = client
        self.patience_seconds = patience_seconds

    async def result_of(
        self,
        run: MethodAsyncSingleParam[S, P, T],
        argument: P,
        workflow_id: str,
        queue: str,
        *,
        summary: str,
        details: str | None = None,
        again: bool = False,
    ) -> T:
        """The result of a workflow that is started once, however often it is asked for; with `again` once at a time.

        Raises StillWorking once it is started, and TemporalAway when that is not known.
        """
        handle = self.client.get_workflow_handle_for(run, workflow_id)
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE
        started = False
        try:
            async with asyncio.timeout(self.patience_seconds):
                with suppress(WorkflowAlreadyStartedError):  # and it has ended
                    await self.client.start_workflow(
                        run,
                        argument,
                        id=workflow_id,
                        task_queue=queue,
                        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                        id_reuse_policy=reuse,
                        static_summary=summary,
                        static_details=details,
                    )
                started = True
                return await handle.result()
        except TimeoutError as error:
            raise (StillWorking if started else TemporalAway) from error

    async def update(
        self,
        handle: WorkflowHandle[S, Any],
        update: UpdateMethodMultiParam[[S, P], T],
        argument: P,
        update_id: str,
    ) -> T:
        """The answer of an update; same id, same answer, also after the workflow has ended.

        Raises UpdateRefused with the workflow's code, StillWorking once the workflow has accepted the update and takes
        longer, and TemporalAway when it is not known to have: nobody may be promised then that it will be carried out.
        """
        accepted = False
        try:
            async with asyncio.timeout(self.patience_seconds):
                asked = await handle.start_update(
                    update, argument, wait_for_stage=WorkflowUpdateStage.ACCEPTED, id=update_id
                )
                accepted = True
                return await asked.result()
        except WorkflowUpdateFailedError as error:
            refusal = _refused(error)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            refusal = UpdateRefused(*self.ended)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise (StillWorking if accepted else TemporalAway) from error
        answer = await self.earlier_answer(handle.get_update_handle_for(update, update_id))
        if answer is None:
            raise refusal
        return answer

    async def earlier_answer(self, update: WorkflowUpdateHandle[T]) -> T | None:
        """What an update answered before its workflow ended; None when it did not, or is no longer kept."""
        try:
            return await update.result(rpc_timeout=QUICK)
        except WorkflowUpdateFailedError:
            return None
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None


async def signal_if_running(signal: Awaitable[None]) -> Literal["applied", "ignored"]:
    """Whether there was a workflow to signal."""
    try:
        await signal
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return "ignored"
    return "applied"


def _refused(error: WorkflowUpdateFailedError) -> UpdateRefused | TemporalAway:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        if cause.type == "RuntimeError":  # Temporal's own: a worker of an earlier release cannot read it
            return TemporalAway()
        return UpdateRefused(cause.type or "conflict", cause.message)
    return UpdateRefused("conflict", "This is not possible now.")
