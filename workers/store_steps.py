"""A step on our own stores that has begun comes to its end, although the workflow was cancelled meanwhile."""

from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


class StoreStepsEnd(Interceptor):
    """Keeps a cancellation out of the threads of local activities.

    Raised in the middle of a commit, it would report as cancelled what the store writes a moment later.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Stand between the worker and its activities."""
        return _Shielding(next)


class _Shielding(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        if not activity.info().is_local:
            return await super().execute_activity(input)
        with activity.shield_thread_cancel_exception():
            return await super().execute_activity(input)
