"""Disputes at the payment provider: their state, our evidence, and accepting one."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import stripe

from adapters.payments.client import one_attempt, stripe_client
from adapters.payments.failures import failure
from adapters.settings import Settings
from domain.disputes import DisputeStatus
from domain.ledger import EntryKind
from domain.outside_errors import Misuse
from schemas.disputes import AcceptDispute, DisputeMovement, DisputeState, RetrieveDispute, SubmitEvidence
from schemas.provider_calls import PaymentOutcome, ProviderResult


class DisputeProvider:
    """Raises as PaymentProvider does; what the provider refuses about a dispute, such as a closed one, is a result."""

    def __init__(self, settings: Settings) -> None:
        self._disputes = stripe_client(settings).v1.disputes

    @one_attempt()
    def retrieve(self, command: RetrieveDispute) -> DisputeState:
        """Its state now, with all the money it has moved so far."""
        asked_at = datetime.now(UTC)
        try:
            found = self._disputes.retrieve(command.dispute_id, {"expand": ["payment_intent"]})
        except stripe.StripeError as error:
            raise failure(error) from error
        dispute = found.to_dict()
        if dispute["status"] not in list(DisputeStatus):
            raise Misuse(f"the provider says that {command.dispute_id} is {dispute['status']}", "unexpected_status")
        intent = dispute.get("payment_intent")
        payment: dict[str, Any] = intent if isinstance(intent, dict) else {"id": intent or ""}
        due = (dispute.get("evidence_details") or {}).get("due_by")
        return DisputeState(
            dispute_id=dispute["id"],
            order_id=(payment.get("metadata") or {}).get("order_id"),
            payment_id=payment["id"],
            amount=dispute["amount"],
            currency=dispute["currency"].upper(),
            reason=dispute["reason"],
            status=DisputeStatus(dispute["status"]),
            evidence_due_at=datetime.fromtimestamp(due, UTC) if due else None,
            movements=list(_movements(dispute.get("balance_transactions") or [])),
            asked_at=asked_at,
        )

    @one_attempt()
    def submit(self, command: SubmitEvidence) -> ProviderResult:
        """Submit evidence. Where an earlier attempt may have done so, only if the provider does not have it."""
        try:
            if command.unknown_since is not None and self._has(command):
                return ProviderResult(outcome=PaymentOutcome.SUCCEEDED, provider_id=command.dispute_id)
            self._disputes.update(
                command.dispute_id,
                {"evidence": {"uncategorized_text": command.text}, "submit": True},
                {"idempotency_key": command.idempotency_key},
            )
        except stripe.InvalidRequestError as error:
            return _refused(command.dispute_id, error)
        except stripe.StripeError as error:
            raise failure(error) from error
        return ProviderResult(outcome=PaymentOutcome.SUCCEEDED, provider_id=command.dispute_id)

    @one_attempt()
    def accept(self, command: AcceptDispute) -> ProviderResult:
        """Accept the dispute; one that is lost already is a success, too."""
        try:
            self._disputes.close(command.dispute_id, None, {"idempotency_key": command.idempotency_key})
        except stripe.InvalidRequestError as error:
            if self.retrieve(RetrieveDispute(dispute_id=command.dispute_id)).status is not DisputeStatus.LOST:
                return _refused(command.dispute_id, error)
        except stripe.StripeError as error:
            raise failure(error) from error
        return ProviderResult(outcome=PaymentOutcome.SUCCEEDED, provider_id=command.dispute_id)

    def _has(self, command: SubmitEvidence) -> bool:
        dispute = self._disputes.retrieve(command.dispute_id).to_dict()
        submitted = (dispute.get("evidence_details") or {}).get("submission_count", 0) > 0
        return submitted and (dispute.get("evidence") or {}).get("uncategorized_text") == command.text


def _movements(transactions: list[dict[str, Any]]) -> Iterator[DisputeMovement]:
    """What was withdrawn or has come back, and the fees for it, each under the provider's id of the movement."""
    for transaction in transactions:
        withdrawn, fee = transaction["amount"] < 0, transaction["fee"]
        kind = EntryKind.DISPUTE if withdrawn else EntryKind.DISPUTE_REVERSAL
        yield DisputeMovement(provider_id=transaction["id"], kind=kind, amount=abs(transaction["amount"]))
        if fee:
            of_fee = EntryKind.DISPUTE_FEE if fee > 0 else EntryKind.DISPUTE_FEE_REVERSAL
            yield DisputeMovement(provider_id=transaction["id"], kind=of_fee, amount=abs(fee))


def _refused(dispute_id: str, error: stripe.InvalidRequestError) -> ProviderResult:
    return ProviderResult(
        outcome=PaymentOutcome.DECLINED,
        provider_id=dispute_id,
        code=error.code or "dispute_refused",
        message=error.user_message or "The provider has refused it.",
    )
