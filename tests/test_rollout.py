"""During a rollout: what a worker of the last release cannot read waits for one of the next, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest_asyncio
import uuid_utils
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from dev.stack import test_server_path
from schemas.base import Open, Payload
from workers.unknown_values import UnknownValuesWait
from workflows.options import CATALOG_CHANGES

QUEUE = "rollout"


class Status(StrEnum):
    KNOWN = "known"


class NextStatus(StrEnum):
    KNOWN = "known"
    NEW = "new"


class Command(Payload):
    status: Status


class NextCommand(Payload):
    status: NextStatus


class Message(Payload):
    status: Open[Status]


class NextMessage(Payload):
    status: Open[NextStatus]


@workflow.defn(name="Receiver")
class Receiver:
    def __init__(self) -> None:
        self._status = ""

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: bool(self._status))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status

    @workflow.signal
    def receive(self, message: Message) -> None:
        self._status = f"mistaken for something else: {message.status}"

    @workflow.update
    def decide(self, message: Message) -> str:
        self._status = f"mistaken for something else: {message.status}"
        return self._status

    @decide.validator
    def _may_decide(self, message: Message) -> None:
        assert message.status


@workflow.defn(name="Receiver")
class NextReceiver:
    def __init__(self) -> None:
        self._status = ""

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: bool(self._status))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status

    @workflow.signal
    def receive(self, message: NextMessage) -> None:
        self._status = message.status

    @workflow.update
    def decide(self, message: NextMessage) -> str:
        self._status = message.status
        return self._status


@workflow.defn(name="Commands")
class Commands:
    @workflow.run
    async def run(self) -> str:
        command = NextCommand(status=NextStatus.NEW)
        done: str = await workflow.execute_activity("act", command, result_type=str, **CATALOG_CHANGES)
        return done


@activity.defn(name="act")
async def act(command: Command) -> str:
    return f"mistaken for something else: {command.status}"


@activity.defn(name="act")
async def next_act(command: NextCommand) -> str:
    return command.status


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(test_server_path()),
        test_server_startup_timeout=timedelta(seconds=60),
        data_converter=pydantic_data_converter,
    )
    async with environment:
        with environment.auto_time_skipping_disabled():
            yield environment.client


def worker(client: Client, workflow_type: type, does: Callable[..., Any]) -> Worker:
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=[workflow_type, Commands],
        activities=[does],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[UnknownValuesWait()],
        max_cached_workflows=0,
    )


async def start(client: Client, run: Any) -> WorkflowHandle[Any, str]:
    handle: WorkflowHandle[Any, str] = await client.start_workflow(
        run, id=f"rollout-{uuid_utils.uuid7()}", task_queue=QUEUE
    )
    return handle


async def until_a_task_failed(handle: WorkflowHandle[Any, str]) -> None:
    async with asyncio.timeout(30):
        while EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in [
            event.event_type async for event in handle.fetch_history_events()
        ]:
            await asyncio.sleep(0.1)


async def test_a_signal_waits_for_a_worker_that_knows_its_value(client: Client) -> None:
    async with worker(client, Receiver, act):
        handle = await start(client, Receiver.run)
        await handle.signal(NextReceiver.receive, NextMessage(status=NextStatus.NEW))
        await until_a_task_failed(handle)
    async with worker(client, NextReceiver, next_act), asyncio.timeout(60):
        assert await handle.result() == "new"


async def test_an_update_is_neither_rejected_nor_mistaken_and_waits_as_well(client: Client) -> None:
    async with worker(client, Receiver, act):
        handle = await start(client, Receiver.run)
        update = asyncio.create_task(handle.execute_update(NextReceiver.decide, NextMessage(status=NextStatus.NEW)))
        await until_a_task_failed(handle)
        assert not update.done()
    async with worker(client, NextReceiver, next_act), asyncio.timeout(60):
        assert await update == "new"


async def test_an_activity_is_retried_until_a_worker_knows_the_value_of_its_command(client: Client) -> None:
    async with worker(client, Receiver, act):
        handle = await start(client, Commands.run)
        async with asyncio.timeout(30):
            while not (pending := (await handle.describe()).raw_description.pending_activities) or (
                pending[0].attempt < 2
            ):
                await asyncio.sleep(0.1)
        assert pending[0].last_failure.message == "Failed decoding arguments"
    async with worker(client, Receiver, next_act), asyncio.timeout(60):
        assert await handle.result() == "new"
