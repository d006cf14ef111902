"""A call to the payment provider that takes effect once, whatever becomes of the provider's answers."""

import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

from activities.payments import PaymentActivities
from domain.outside_errors import OutcomeUnknown
from domain.risk import RISK_DECLINED, is_doubted
from schemas.provider_calls import (
    NOT_AS_REQUESTED,
    PaymentOutcome,
    ProviderCommand,
    ProviderResult,
    VoidPayment,
)
from workflows.options import PROVIDER
from workflows.outage import OPERATOR_AFTER, Outage, unanswered
from workflows.payments.records import PaymentRecorder
from workflows.reasons import CANCELLED, reason_of
from workflows.timeline import Timeline

# Each wait is twice the one before. The longest is as long as a round of an outage: a wait writes a dozen events.
_FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(hours=2)
_KEY_LASTS = timedelta(hours=20)  # the provider keeps one for a day at least
_LAST_ATTEMPT_ENDS = timedelta(minutes=1)
UNDECIDED = ProviderResult(
    outcome=PaymentOutcome.DECLINED,
    code="payment_processing",
    message="Your bank is still deciding about the payment before; it cannot be paid twice.",
)
C = TypeVar("C", bound=ProviderCommand)


async def call_provider(
    call: Callable[[Any, C], ProviderResult], command: C, summary: str, timeline: Timeline
) -> ProviderResult:
    """Call until there is a result; declines are results.

    During an outage it is retried under one key. Where the outcome under a key stays unknown, or the provider may have
    forgotten the key, the provider is asked for the outcome before anything is sent again, under another key, after a
    wait that grows. It needs an operator once either has lasted a quarter of an hour, and retries go on.
    """
    outage, wait = Outage(summary, timeline), _FIRST_WAIT
    for attempt in itertools.count(2):
        try:
            result = await outage.attempt(call, command, PROVIDER)
        except ActivityError as error:
            if not _is_unknown(error, outage, command):
                continue
            if unanswered(error):
                wait = max(wait, _LAST_ATTEMPT_ENDS)
        else:
            if result.search_after is None:
                outage.answered()
                return result
            command = command.searching_on(result.search_after)
            continue
        timeline.add(f"{summary}: outcome unknown; the provider is asked in {wait.total_seconds():.0f} s")
        await workflow.sleep(wait, summary="before asking the provider")
        wait = min(wait * 2, LONGEST_WAIT)
        command = command.asking_first(attempt, outage.began)
    raise AssertionError  # the count has no end


def _is_unknown(error: ActivityError, outage: Outage, command: ProviderCommand) -> bool:
    """Whether nothing will be learned under this key any more; False to go on as before. Raises what is final."""
    if unanswered(error):
        outage.needs_operator("the provider does not answer")
        return command.unknown_since is None and outage.lasts >= _KEY_LASTS
    if reason_of(error).code != OutcomeUnknown.code:
        outage.answered()
        raise error
    if outage.lasts >= OPERATOR_AFTER:
        outage.needs_operator("outcome unknown (check the provider's dashboard)")
    return True


async def unless_rejected(call: Awaitable[ProviderResult]) -> ProviderResult:
    """The result of a call; one that the provider rejects as invalid has no effect, so it counts as declined.

    An order whose money has not moved then ends, and one whose parcel was dispatched waits for an operator.
    """
    try:
        return await call
    except FailureError as error:
        refusal = reason_of(error)
        if refusal.code in (CANCELLED, *NOT_AS_REQUESTED):
            raise
        workflow.logger.error("the provider rejected a call as invalid", extra={"code": refusal.code})
        return ProviderResult(outcome=PaymentOutcome.DECLINED, code=refusal.code, message=refusal.message)


async def unless_doubted(
    result: ProviderResult, provider_id: str, step: str, recorder: PaymentRecorder
) -> ProviderResult:
    """The result of a payment that is to replace an authorization: there is nobody to review it, so one that the
    provider doubts is voided, and counts as declined.
    """
    if result.outcome is not PaymentOutcome.SUCCEEDED or not is_doubted(result.risk):
        return result
    command = VoidPayment(
        order_id=recorder.order_id, provider_id=provider_id, idempotency_key=recorder.key(f"{step}:doubted")
    )
    summary = f"void: the payment provider calls its risk {result.risk}"
    await call_provider(PaymentActivities.void_payment, command, summary, recorder.timeline)
    declined = {
        "outcome": PaymentOutcome.DECLINED,
        "code": RISK_DECLINED,
        "message": "The payment could not be accepted.",
    }
    return result.model_copy(update=declined)
