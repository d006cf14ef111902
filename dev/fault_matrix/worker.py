"""The order worker of production, whose activities fail on command, in a process that is restarted when it dies.

The parent has everything imported and forks, so that a killed worker is back at once. `FAULTS` is the folder of faults,
`MUTANT` the name of a mistake to build in (see mutants.py); `SHORT_TIMEOUTS` lets every call time out within seconds.
"""

import asyncio
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pymysql
import sqlalchemy as sa
from temporalio import activity
from temporalio.client import Client
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from adapters.logs import configure_logging
from adapters.settings import Settings, load_settings
from dev.fault_matrix.faults import TIMEOUT, Faults, Kind
from dev.fault_matrix.mutants import MUTANTS
from workers.orders import serve
from workers.runner import reach_temporal
from workflows import options
from workflows.names import order_workflow_id

KILL = signal.SIGUSR1  # to the parent: kill your worker as a power cut would
# The id of an order, or of a refund, dispute or decision about it; or the provider's id of a payment or refund.
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(pi|re)_\w+")


class FaultInterceptor(ClientInterceptor, Interceptor):
    """Makes the first attempt at an armed activity fail; a client passes it on to its workers."""

    def __init__(self, faults: Faults, client: Client) -> None:
        self._faults = faults
        self._client = client

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Stand between the worker and its activities."""
        return _FaultyActivities(next, self._faults, self._client)


class _FaultyActivities(ActivityInboundInterceptor):
    def __init__(self, next_: ActivityInboundInterceptor, faults: Faults, client: Client) -> None:
        super().__init__(next_)
        self._faults = faults
        self._client = client

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        found = _ID.search(info.workflow_id or "")
        key = getattr(input.args[0], "idempotency_key", "") if input.args else ""
        kind = self._faults.armed(found[0], info.activity_type, key) if found else None
        if found is not None and self._has_invalid_data(kind, found[0]):
            return await super().execute_activity(replace(input, fn=_refuse_data))
        if found is None or kind is None:
            return await super().execute_activity(input)
        if kind is Kind.FAILS_BEFORE and self._faults.strike(found[0]):
            raise RuntimeError("failed before anything was done")
        result = await super().execute_activity(input)
        if self._faults.strike(found[0]):
            await self._fail_after(kind, found[0])
        return result

    def _has_invalid_data(self, kind: Kind | None, subject: str) -> bool:
        """No other attempt at this call can do better, while an operator may have it tried by another."""
        info = activity.info()
        call = f"{info.workflow_run_id} {info.activity_id}"
        struck = kind is Kind.INVALID_DATA and self._faults.strike(subject, call)
        return struck or self._faults.strikes_again(subject, call)

    async def _fail_after(self, kind: Kind, subject: str) -> None:
        """Everything was done, and nobody learns of it; the workflow of an order that is terminated least of all."""
        if kind is Kind.ORDER_TERMINATED:
            await self._client.get_workflow_handle(order_workflow_id(subject)).terminate("fault matrix")
            return
        if kind is Kind.KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        if kind is Kind.TIMES_OUT:
            await asyncio.sleep((TIMEOUT * 1.5).total_seconds())
        raise RuntimeError("failed after everything was done")


async def _refuse_data(*_: object) -> NoReturn:
    """In place of the activity: MySQL refuses a value of the order."""
    raise sa.exc.DataError("INSERT", {}, pymysql.err.DataError(1406, "Data too long for column 'name' at row 1"))


async def connect_with_faults(settings: Settings, stop: asyncio.Event) -> Client | None:
    """The client of production, whose workers fail on command."""
    client = await reach_temporal(settings, stop)
    if client is None:
        return None
    config = client.config()
    config["interceptors"] = [*config["interceptors"], FaultInterceptor(Faults(Path(os.environ["FAULTS"])), client)]
    return Client(**config)


def main() -> None:
    """Fork a worker, and another whenever one dies."""
    settings = load_settings()
    configure_logging(settings)
    if "SHORT_TIMEOUTS" in os.environ:  # else a call that times out would take production's time
        for timeouts in (options.STORE, options.PROVIDER, options.CARRIER):
            timeouts["start_to_close_timeout"] = TIMEOUT
    MUTANTS[os.environ.get("MUTANT", "none")]()
    child, ending = 0, False

    def end(*_: object) -> None:
        nonlocal ending
        ending = True
        os.kill(child, signal.SIGTERM)

    signal.signal(KILL, lambda *_: os.kill(child, signal.SIGKILL) if child else None)
    while not ending:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        child = os.fork()
        if child == 0:
            signal.signal(KILL, signal.SIG_IGN)
            asyncio.run(serve(settings, connect_with_faults))
            os._exit(0)
        signal.signal(signal.SIGTERM, end)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
