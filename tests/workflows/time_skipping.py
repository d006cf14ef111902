"""Temporal's time-skipping test server with production's workers, and what it takes to rely on it.

Three of its weaknesses cannot be met here, and tests keep away from them:

- A workflow task that cancels a timer which fires meanwhile is refused ("invalid history builder state",
  temporalio/sdk-java#3088), and its workflow never goes on; an update that came with it is lost, and no time is skipped
  any more. So nothing is sent to a workflow while time passes: what races a timer is played on the real server
  (`place_in_real_time`).
- A workflow task that cancels an activity which ends meanwhile is refused as well (`ACTIVITY_UNKNOWN`), with the same
  consequence: an event of the carrier that overtakes a call to it is played on the real server, or once that is over.
- A workflow that is terminated with a task in flight may keep the server from skipping time: a module whose tests
  cancel orders and skip time has a server of its own.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.testservice.v1 import SleepRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from adapters.connections import Connections
from dev.stack import test_server_path
from tests.workflows.deaths import Deaths, with_mortal_workers
from tests.workflows.waiting import until_async
from tests.workflows.workers import all_workers
from workflows.names import SEARCH_ATTRIBUTES

STARTUP = timedelta(seconds=120)
# What the workflows do meanwhile takes its time on a slow machine; a call has 30 s when nothing is said.
_PATIENCE = timedelta(seconds=240)


async def start_server() -> WorkflowEnvironment:
    return await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(test_server_path()),
        test_server_startup_timeout=STARTUP,
        data_converter=pydantic_data_converter,
    )


@asynccontextmanager
async def time_skipping(connections: Connections, deaths: Deaths | None = None) -> AsyncIterator[Client]:
    """A client of a new server on which production's workers poll every queue, and die if that is asked for."""
    async with await start_server() as environment, AsyncExitStack() as stack:
        # Time passes when a test says so. Waiting for the result of a workflow that has ended would let it pass as
        # well, and where nothing else is due soon, up to the ten years a server allows every workflow.
        stack.enter_context(environment.auto_time_skipping_disabled())
        client = with_mortal_workers(environment.client, deaths) if deaths else environment.client
        await add_search_attributes(client)
        await stack.enter_async_context(all_workers(client, connections))
        yield client


async def add_search_attributes(client: Client) -> None:
    attributes = {key.name: key.indexed_value_type for key in SEARCH_ATTRIBUTES}
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes=attributes)  # type: ignore[arg-type]
    )


async def skip(client: Client, time_to_skip: timedelta) -> None:
    """Let so much of the workflows' time pass.

    A server that is slow to answer has begun all the same, so a call that timed out is not sent again: its end is
    waited for.
    """
    end = await _now(client) + time_to_skip
    request = SleepRequest(duration=Duration())
    request.duration.FromTimedelta(time_to_skip)
    try:
        await client.service_client.test_service.unlock_time_skipping_with_sleep(request, timeout=_PATIENCE)
    except RPCError as error:
        if error.status is not RPCStatusCode.DEADLINE_EXCEEDED:
            raise

        async def over() -> bool:
            return await _now(client) >= end

        await until_async(over)


async def _now(client: Client) -> datetime:
    answer = await client.service_client.test_service.get_current_time(Empty())
    return answer.time.ToDatetime().replace(tzinfo=UTC)
