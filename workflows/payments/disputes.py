"""DisputeWorkflow follows one dispute until the customer's bank has decided it, and calls for evidence in time."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.disputes import DisputeActivities
from domain.actors import SYSTEM_ACTOR
from domain.disputes import DisputeStatus
from domain.orders import PaymentStatus
from schemas.disputes import (
    AcceptDispute,
    DisputeAction,
    DisputeEnded,
    DisputeInput,
    DisputeUpdated,
    DisputeView,
    NoteAction,
    OperatorDecision,
    RecordDispute,
    RetrieveDispute,
    SubmitEvidence,
)
from schemas.payments import PaymentOutcome, ProviderResult
from schemas.provider_events import ProviderEvent
from workflows.names import DISPUTE_UPDATED, PAYMENT_STATUS, order_workflow_id
from workflows.options import PROVIDER, STORE
from workflows.outage import retry_until_answered
from workflows.payments.provider_calls import call_provider
from workflows.timeline import Timeline, money
from workflows.waiting import run_to_completion, shielded, wait_until

_LOOK_EVERY = timedelta(days=1)  # should every webhook get lost


@workflow.defn
class DisputeWorkflow:
    """look (→ keep → tell the order) at every webhook, and once a day, until it is decided; operators act by update."""

    @workflow.init
    def __init__(self, dispute: DisputeInput) -> None:
        self._dispute = dispute
        self._view: DisputeView | None = None
        self._told: DisputeUpdated | None = None
        self._seen_events: set[str] = set()
        self._has_news = self._looked = False
        self._reminded = self._missed = False
        self._looking = asyncio.Lock()
        self._timeline = Timeline(f"Dispute {dispute.dispute_id}")

    @workflow.run
    async def run(self, dispute: DisputeInput) -> DisputeEnded:
        """Follow it to its end: parcels that it keeps back have nobody else to let them go."""
        return await run_to_completion(self._follow(dispute), self._timeline.add)

    async def _follow(self, dispute: DisputeInput) -> DisputeEnded:
        await self._look()
        while self._is_open():
            look_at = workflow.now() + _LOOK_EVERY
            if not await wait_until(self._next_moment(look_at), self._wakes, "evidence is due, or look again"):
                await self._mind_deadline()
            if self._has_news or workflow.now() >= look_at:
                await self._look()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return DisputeEnded(dispute_id=dispute.dispute_id, status=self._view.status if self._view else None)

    @workflow.signal
    def provider_event(self, event: ProviderEvent) -> None:
        """A verified webhook. It is never believed: it is a reason to ask the provider."""
        if event.event_id not in self._seen_events:
            self._seen_events.add(event.event_id)
            self._has_news = True
            self._timeline.add(f"provider tells of `{event.type}`")

    # --- what operators do

    @workflow.update
    async def submit_evidence(self, decision: OperatorDecision) -> DisputeView:
        """Send the bank what speaks for us."""
        await self._undecided()
        command = SubmitEvidence(
            order_id=self._standing.order_id,
            dispute_id=self._dispute.dispute_id,
            text=decision.text or "",
            idempotency_key=self._key("evidence"),
        )
        result = await call_provider(DisputeActivities.submit_evidence, command, "send evidence", self._timeline)
        return await self._done(DisputeAction.EVIDENCE, decision, result)

    @submit_evidence.validator
    def _may_submit(self, decision: OperatorDecision) -> None:
        self._refuse_decided()
        if not decision.text:
            raise ApplicationError("Evidence is a text.", type="invalid_request")

    @workflow.update
    async def accept(self, decision: OperatorDecision) -> DisputeView:
        """Give in: the money stays with the customer."""
        await self._undecided()
        command = AcceptDispute(
            order_id=self._standing.order_id,
            dispute_id=self._dispute.dispute_id,
            idempotency_key=self._key("accept"),
        )
        result = await call_provider(DisputeActivities.accept_dispute, command, "accept the dispute", self._timeline)
        return await self._done(DisputeAction.ACCEPTED, decision, result)

    @accept.validator
    def _may_accept(self, decision: OperatorDecision) -> None:  # noqa: ARG002 - a validator has its update's parameters
        self._refuse_decided()

    @workflow.update
    async def release(self, decision: OperatorDecision) -> DisputeView:
        """Let the parcels go although it is not decided."""
        await self._undecided()
        return await self._done(DisputeAction.RELEASED, decision)

    @release.validator
    def _may_release(self, decision: OperatorDecision) -> None:  # noqa: ARG002 - see above
        self._refuse_decided()
        if self._view is not None and not self._view.frozen:
            raise ApplicationError("Nothing is on hold because of this dispute.", type="not_on_hold")

    async def _done(
        self, action: DisputeAction, decision: OperatorDecision, result: ProviderResult | None = None
    ) -> DisputeView:
        if result is not None and result.outcome is not PaymentOutcome.SUCCEEDED:
            self._timeline.add(f"{action} refused: `{result.code}` {result.message}")
            raise ApplicationError(result.message or "The provider has refused it.", type="dispute_refused")
        await self._note(action, decision.actor, decision.reason, decision.text)
        await self._look()
        return self._standing

    # --- how it stands

    async def _look(self) -> None:
        """Ask the provider, keep what it says, and tell the order what follows for its parcels."""
        async with self._looking:
            self._has_news = False
            look, text = RetrieveDispute(dispute_id=self._dispute.dispute_id), "ask how the dispute stands"
            standing = await retry_until_answered(
                DisputeActivities.retrieve_dispute, look, text, self._timeline, PROVIDER
            )
            if standing.order_id is None:
                self._timeline.add("of no order of ours")
                workflow.logger.error("a dispute is of no order of ours", extra={"dispute": standing.dispute_id})
                self._looked = True
                return
            kept = await workflow.execute_local_activity_method(
                DisputeActivities.record_dispute,
                RecordDispute(order_id=standing.order_id, standing=standing),
                summary=f"it is {standing.status}",
                **STORE,
            )
            self._show(kept.dispute, kept.payment_status)
            self._looked = True
            await self._signal_order()

    def _show(self, view: DisputeView, status: PaymentStatus) -> None:
        if self._view is None or self._view.status is not view.status:
            amount = money(view.amount.amount, view.amount.currency)
            self._timeline.add(f"{amount} of order `{view.order_id}`, `{view.reason}`: **{view.status}**")
        self._view = view
        workflow.upsert_search_attributes([PAYMENT_STATUS.value_set(status)])
        self._timeline.owe(self._owed(view))

    def _owed(self, view: DisputeView) -> list[str]:
        if not (view.open and view.status.needs_response):
            return []
        until = f"{view.evidence_due_at:%Y-%m-%d %H:%M} UTC" if view.evidence_due_at else "soon"
        return [f"evidence until {until}: `POST /v1/ops/disputes/{view.id}/evidence`, or `/accept`"]

    async def _signal_order(self) -> None:
        """The order may have come to its end long ago: then there is nothing to stop."""
        view = self._standing
        told = DisputeUpdated(dispute_id=view.id, frozen=view.frozen, lost=view.status is DisputeStatus.LOST)
        if told == self._told:
            return
        self._told = told
        order = workflow.get_external_workflow_handle(order_workflow_id(view.order_id))
        with suppress(FailureError):
            await shielded(order.signal(DISPUTE_UPDATED, told))

    # --- the deadline

    def _next_moment(self, look_at: datetime) -> datetime:
        due = self._standing.evidence_due_at
        if due is None or not self._standing.status.needs_response or self._missed:
            return look_at
        moment = due if self._reminded else due - timedelta(hours=self._dispute.reminder_hours)
        return min(look_at, moment)

    async def _mind_deadline(self) -> None:
        """Call for evidence before it is due, and once more when it is too late."""
        view = self._standing
        due = view.evidence_due_at
        if due is None or not view.status.needs_response:
            return
        told = {"dispute": view.id, "order": view.order_id, "due": due.isoformat()}
        if workflow.now() >= due and not self._missed:
            self._reminded = self._missed = True
            self._timeline.add("the evidence is overdue")
            workflow.logger.error("the evidence for a dispute is overdue", extra=told)
        elif workflow.now() >= due - timedelta(hours=self._dispute.reminder_hours) and not self._reminded:
            self._reminded = True
            self._timeline.add("evidence is due soon")
            workflow.logger.error("evidence for a dispute is due soon", extra=told)
            await self._note(DisputeAction.REMINDED, SYSTEM_ACTOR, f"evidence is due at {due:%Y-%m-%d %H:%M} UTC")

    # --- small words

    async def _note(self, action: DisputeAction, actor: str, reason: str, text: str | None = None) -> None:
        key = "reminded" if action is DisputeAction.REMINDED else self._key(action)
        command = NoteAction(
            dispute_id=self._dispute.dispute_id, key=key, action=action, actor=actor, reason=reason, text=text
        )
        self._view = await workflow.execute_local_activity_method(
            DisputeActivities.note_dispute_action, command, summary=f"{action} by {actor}", **STORE
        )
        self._timeline.add(f"{actor}: {action}, {reason}")

    @property
    def _standing(self) -> DisputeView:
        assert self._view is not None, "whoever asks has seen it"
        return self._view

    def _is_open(self) -> bool:
        return self._view is not None and self._view.open

    def _wakes(self) -> bool:
        return self._has_news or not self._is_open()

    async def _undecided(self) -> None:
        """Staff may read of it a moment before this workflow has; raises ApplicationError when it is decided."""
        await workflow.wait_condition(lambda: self._looked)
        self._refuse_decided()

    def _refuse_decided(self) -> None:
        if self._looked and (self._view is None or not self._view.status.is_undecided):
            raise ApplicationError("The dispute is decided.", type="dispute_closed")

    def _key(self, step: str) -> str:
        """Of a deed that an operator has asked for: the same for every repeat of their request."""
        update = workflow.current_update_info()
        return f"{workflow.info().workflow_id}:{step}{f':{update.id}' if update else ''}"
