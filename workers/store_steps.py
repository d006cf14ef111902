"""What holds for every step on our own stores: it comes to its end, and its failure says what caused it."""

from typing import Any, NoReturn

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.failures import MISTAKE, typed_failures
from adapters.failures import Cause, cause_of
from domain.errors import InvalidData

_log = structlog.get_logger(__name__)
_LONGEST_MESSAGE = 500


class StoreSteps(Interceptor):
    """Stands around activities that call no outside system."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Stand between the worker and its activities."""
        return _StoreStep(next)


class _StoreStep(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        if info.heartbeat_timeout is not None:  # a call of an outside system, or long work on many orders
            return await super().execute_activity(input)
        try:
            if not info.is_local:
                return await super().execute_activity(input)
            # A cancellation raised in the middle of a commit would report as cancelled what the store still writes.
            with activity.shield_thread_cancel_exception():
                return await super().execute_activity(input)
        except ApplicationError:
            raise
        except Exception as error:
            cause = cause_of(error)
            if cause is Cause.DATA:
                _refuse(error)
            if cause is Cause.MISTAKE:
                raise ApplicationError(f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE], type=MISTAKE) from error
            raise


def _refuse(error: Exception) -> NoReturn:
    info = activity.info()
    # Our log names the value; the workflow's history, where customers' answers come from, must not.
    reason = str(getattr(error, "orig", None) or error)[:_LONGEST_MESSAGE]
    _log.error("an order's own data cannot be stored", step=info.activity_type, workflow=info.workflow_id, why=reason)
    with typed_failures():
        raise InvalidData("The order holds a value that we cannot process. Please contact our customer service.")
