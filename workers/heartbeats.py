"""Activities that call outside systems send heartbeats, so that a killed worker is noticed soon."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ActivityOutboundInterceptor, ExecuteActivityInput, Interceptor

# An attempt that may take longer reports its place in heartbeats of its own; a plain one would hide that it hangs.
_SHORT = timedelta(minutes=1)
_BEATS = 3  # so many in the time after which a worker counts as dead


class Heartbeats(Interceptor):
    """Sends heartbeats for every short activity that has a heartbeat time-out."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Stand between the worker and its activities."""
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        # Not activity.heartbeat(): in a threaded activity that waits for this very loop.
        self._beat_once = outbound.heartbeat
        super().init(outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        longest = info.start_to_close_timeout
        if info.heartbeat_timeout is None or longest is None or longest > _SHORT:
            return await super().execute_activity(input)
        beating = asyncio.create_task(self._beat(info.heartbeat_timeout / _BEATS))
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating

    async def _beat(self, pause: timedelta) -> None:
        while True:
            await asyncio.sleep(pause.total_seconds())
            self._beat_once()
