"""A signal or update that holds a value of a newer release waits for a worker that knows it.

Temporal drops a signal whose arguments cannot be read and rejects such an update, so their enums are open and read
first. Failing the workflow task instead leaves the message in the server, which offers it again until a worker can act
on it. Everything else with such a value is retried by Temporal itself; see decision 20 in docs/decisions/.
"""

from collections.abc import Sequence
from typing import Any

from temporalio.worker import (
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from schemas.base import unknown_values


class UnknownValuesWait(Interceptor):
    """Fails the workflow task in which a signal or update with an unknown value is to be handled."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002, ARG002
        """Stand between the worker and the handlers of its workflows."""
        return _Refusing


class _Refusing(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
        _refuse_unknown(input.signal, input.args)
        await super().handle_signal(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
        _refuse_unknown(input.update, input.args)
        return await super().handle_update_handler(input)


def _refuse_unknown(handler: str, arguments: Sequence[Any]) -> None:
    if unknown := list(unknown_values(arguments)):
        # No failure of Temporal's own kind: those would end the workflow or the update, and not the task alone.
        raise ValueError(f"{handler} holds what only a newer release knows: {', '.join(unknown)}")
