"""DisputeWorkflow follows one dispute until the customer's bank has decided it, and calls for evidence in time."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

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
from schemas.operator_tasks import OperatorTaskCode
from schemas.provider_calls import PaymentOutcome, ProviderResult
from schemas.provider_events import ProviderEvent
from workflows.names import DISPUTE_UPDATED, PAYMENT_STATUS, order_workflow_id
from workflows.options import PROVIDER
from workflows.outage import retry_until_answered
from workflows.payments.provider_calls import call_provider
from workflows.signals import signal_if_open
from workflows.stores import on_store
from workflows.timeline import Timeline, money
from workflows.waiting import run_to_completion, wait_until

_RETRIEVE_EVERY = timedelta(days=1)  # should every webhook get lost


@workflow.defn
class DisputeWorkflow:
    """retrieve (→ record → signal the order) at every webhook, and daily, until it is decided; staff act by update."""

    @workflow.init
    def __init__(self, dispute: DisputeInput) -> None:
        self._dispute = dispute
        self._view: DisputeView | None = None
        self._status: DisputeStatus
        self._last_update: DisputeUpdated | None = None
        self._seen_events: set[str] = set()
        self._has_event = self._retrieved = False
        self._reminded = self._missed = False
        self._retrieving = asyncio.Lock()
        self._timeline = Timeline(f"Dispute {dispute.dispute_id}")

    @workflow.run
    async def run(self, dispute: DisputeInput) -> DisputeEnded:
        """Follow it to its end: nothing else would release the parcels that it holds."""
        return await run_to_completion(self._follow(dispute), self._timeline.add)

    async def _follow(self, dispute: DisputeInput) -> DisputeEnded:
        await self._retrieve()
        while self._is_open():
            retrieve_at = workflow.now() + _RETRIEVE_EVERY
            if not await wait_until(self._next_moment(retrieve_at), self._wakes, "evidence is due, or retrieve again"):
                await self._check_deadline()
            if self._has_event or workflow.now() >= retrieve_at:
                await self._retrieve()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return DisputeEnded(dispute_id=dispute.dispute_id, status=self._status if self._view else None)

    @workflow.signal
    def provider_event(self, event: ProviderEvent) -> None:
        """A verified webhook. It is never believed: it is a reason to retrieve the dispute."""
        if event.event_id not in self._seen_events:
            self._seen_events.add(event.event_id)
            self._has_event = True
            self._timeline.add(f"provider event `{event.type}`")

    # --- operator actions

    @workflow.update
    async def submit_evidence(self, decision: OperatorDecision) -> DisputeView:
        """Send evidence to the customer's bank."""
        await self._undecided()
        command = SubmitEvidence(
            order_id=self._current.order_id,
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
            raise ApplicationError("Evidence needs a text.", type="invalid_request")

    @workflow.update
    async def accept(self, decision: OperatorDecision) -> DisputeView:
        """Accept the dispute: the money stays with the customer."""
        await self._undecided()
        command = AcceptDispute(
            order_id=self._current.order_id,
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
        """Release the parcels although it is not decided."""
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
        await self._retrieve()
        return self._current

    # --- state

    async def _retrieve(self) -> None:
        """Retrieve and record the dispute, and signal the order what follows for its parcels."""
        async with self._retrieving:
            self._has_event = False
            command, text = RetrieveDispute(dispute_id=self._dispute.dispute_id), "retrieve the dispute"
            standing = await retry_until_answered(
                DisputeActivities.retrieve_dispute, command, text, self._timeline, PROVIDER
            )
            if standing.order_id is None:
                self._timeline.add("belongs to no order of ours")
                workflow.logger.error("a dispute belongs to no order of ours", extra={"dispute": standing.dispute_id})
                self._retrieved = True
                return
            kept = await on_store(
                DisputeActivities.record_dispute,
                RecordDispute(order_id=standing.order_id, standing=standing),
                f"record {standing.status}",
                self._timeline,
            )
            self._show(kept.dispute, kept.payment_status)
            self._retrieved = True
            await self._signal_order()

    def _show(self, view: DisputeView, status: PaymentStatus) -> None:
        if self._view is None or self._view.status is not view.status:
            amount = money(view.amount.amount, view.amount.currency)
            self._timeline.add(f"{amount} of order `{view.order_id}`, `{view.reason}`: **{view.status}**")
        self._keep(view)
        workflow.upsert_search_attributes([PAYMENT_STATUS.value_set(status)])
        self._show_tasks(view)

    def _show_tasks(self, view: DisputeView) -> None:
        self._timeline.of_order(view.order_id)
        needs_evidence = view.open and self._status.needs_response
        due = f"{view.evidence_due_at:%Y-%m-%d %H:%M} UTC" if view.evidence_due_at else "soon"
        self._timeline.needs_operator(
            [f"evidence until {due}, or accept the dispute"] if needs_evidence else [],
            about="evidence",
            code=OperatorTaskCode.DISPUTE_EVIDENCE,
            since=view.opened_at,
            until=view.evidence_due_at,
            route=f"POST /v1/ops/disputes/{view.id}/evidence",
        )
        self._timeline.needs_operator(
            ["the order's parcels are on hold until the dispute is decided, or released"] if view.frozen else [],
            about="hold",
            code=OperatorTaskCode.DISPUTE_HOLD,
            since=view.opened_at,
            route=f"POST /v1/ops/disputes/{view.id}/release",
        )

    async def _signal_order(self) -> None:
        """The order may have ended long ago: then there is nothing to stop."""
        view = self._current
        update = DisputeUpdated(dispute_id=view.id, frozen=view.frozen, lost=view.status is DisputeStatus.LOST)
        if update == self._last_update:
            return
        self._last_update = update
        if not await signal_if_open(order_workflow_id(view.order_id), DISPUTE_UPDATED, update):
            self._timeline.add("the order has ended: there is nothing of it to stop")

    # --- the deadline

    def _next_moment(self, retrieve_at: datetime) -> datetime:
        due = self._current.evidence_due_at
        if due is None or not self._status.needs_response or self._missed:
            return retrieve_at
        moment = due if self._reminded else due - timedelta(hours=self._dispute.reminder_hours)
        return min(retrieve_at, moment)

    async def _check_deadline(self) -> None:
        """Escalate before evidence is due, and again when it is overdue."""
        view = self._current
        due = view.evidence_due_at
        if due is None or not self._status.needs_response:
            return
        fields = {"dispute": view.id, "order": view.order_id, "due": due.isoformat()}
        if workflow.now() >= due and not self._missed:
            self._reminded = self._missed = True
            self._timeline.add("evidence is overdue")
            workflow.logger.error("the evidence for a dispute is overdue", extra=fields)
        elif workflow.now() >= due - timedelta(hours=self._dispute.reminder_hours) and not self._reminded:
            self._reminded = True
            self._timeline.add("evidence is due soon")
            workflow.logger.error("evidence for a dispute is due soon", extra=fields)
            await self._note(DisputeAction.REMINDED, SYSTEM_ACTOR, f"evidence is due at {due:%Y-%m-%d %H:%M} UTC")

    # --- notes

    async def _note(self, action: DisputeAction, actor: str, reason: str, text: str | None = None) -> None:
        key = "reminded" if action is DisputeAction.REMINDED else self._key(action)
        command = NoteAction(
            dispute_id=self._dispute.dispute_id, key=key, action=action, actor=actor, reason=reason, text=text
        )
        noted = await on_store(DisputeActivities.note_dispute_action, command, f"{action} by {actor}", self._timeline)
        self._keep(noted)
        self._timeline.add(f"{actor}: {action}, {reason}")

    def _keep(self, view: DisputeView) -> None:
        self._view, self._status = view, DisputeStatus(view.status)

    @property
    def _current(self) -> DisputeView:
        assert self._view is not None, "retrieved before"
        return self._view

    def _is_open(self) -> bool:
        return self._view is not None and self._view.open

    def _wakes(self) -> bool:
        return self._has_event or not self._is_open()

    async def _undecided(self) -> None:
        """Staff may see it before this workflow has retrieved it; raises ApplicationError when it is decided."""
        await workflow.wait_condition(lambda: self._retrieved)
        self._refuse_decided()

    def _refuse_decided(self) -> None:
        if self._retrieved and (self._view is None or not self._status.is_undecided):
            raise ApplicationError("The dispute is already decided.", type="dispute_closed")

    def _key(self, step: str) -> str:
        """Of an operator's action: the same for every repeat of their request."""
        update = workflow.current_update_info()
        return f"{workflow.info().workflow_id}:{step}{f':{update.id}' if update else ''}"
