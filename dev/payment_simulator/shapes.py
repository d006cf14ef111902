"""The JSON objects of the API, shaped as Stripe's, with every field an SDK or a product may look at."""

import secrets
import time
from typing import Any

from dev.payment_simulator.cards import Card
from dev.payment_simulator.errors import Json
from dev.payment_simulator.store import new_id


def intent(fields: Json) -> Json:
    """A PaymentIntent before anything happened to it; `fields` are what the request decided."""
    name = new_id("pi")
    empty = (
        "application application_fee_amount canceled_at cancellation_reason customer description last_payment_error "
        "latest_charge next_action on_behalf_of payment_method processing receipt_email review setup_future_usage "
        "shipping source statement_descriptor statement_descriptor_suffix transfer_data transfer_group"
    )
    return {
        **dict.fromkeys(empty.split()),
        "id": name,
        "object": "payment_intent",
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "client_secret": f"{name}_secret_{secrets.token_hex(12)}",
        "confirmation_method": "automatic",
        "created": int(time.time()),
        "livemode": False,
        **fields,
    }


def charge(payment: Json, card: Card, captured: bool, multicapture: bool) -> Json:
    """A Charge: one attempt to take an intent's money, successful or not."""
    failed = card.code is not None
    details = {
        "brand": card.brand,
        "country": "US",
        "exp_month": 12,
        "exp_year": time.gmtime().tm_year + 2,
        "funding": "credit",
        "last4": card.last4,
        "multicapture": {"status": "available" if multicapture else "unavailable"},
        "capture_before": None,  # set by the bank when it authorizes
    }
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": payment["amount"],
        "amount_captured": payment["amount"] if captured and not failed else 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "captured": captured and not failed,
        "created": int(time.time()),
        "currency": payment["currency"],
        "customer": payment["customer"],
        "description": payment["description"],
        "disputed": False,
        "failure_code": card.code,
        "failure_message": card.message if failed else None,
        "livemode": False,
        "metadata": dict(payment["metadata"]),
        "outcome": _outcome(card),
        "paid": not failed,
        "payment_intent": payment["id"],
        "payment_method": payment["payment_method"],
        "payment_method_details": {"type": "card", "card": details},
        "refunded": False,
        "status": "failed" if failed else "succeeded",
    }


def _outcome(card: Card) -> Json:
    if card.code is None:
        return {
            "network_status": "approved_by_network",
            "reason": None if card.risk == "normal" else f"{card.risk}_risk_level",
            "type": "authorized" if card.risk == "normal" else "manual_review",
            "risk_level": card.risk,
        }
    reason = card.decline_code or card.code
    return {"network_status": "declined_by_network", "reason": reason, "type": "issuer_declined"}


def payment_method(name: str, card: Card) -> Json:
    """A PaymentMethod, as far as an error carries it."""
    details = {"brand": card.brand, "last4": card.last4}
    return {"id": name, "object": "payment_method", "type": "card", "card": details, "livemode": False, "metadata": {}}


def refund(paid: Json, amount: int, reason: str | None, metadata: Json) -> Json:
    """A Refund of a charge."""
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": paid["id"],
        "created": int(time.time()),
        "currency": paid["currency"],
        "metadata": metadata,
        "payment_intent": paid["payment_intent"],
        "reason": reason,
        "receipt_number": None,
        "status": "succeeded",
    }


EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)


def dispute(paid: Json, amount: int, *, inquiry: bool, due_seconds: float | None) -> Json:
    """A Dispute of a charge; without other word its evidence is due in a week."""
    due = time.time() + (7 * 86400 if due_seconds is None else due_seconds)
    return {
        "id": new_id("dp"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": paid["id"],
        "created": int(time.time()),
        "currency": paid["currency"],
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys(EVIDENCE),
        "evidence_details": {"due_by": int(due), "has_evidence": False, "past_due": False, "submission_count": 0},
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": paid["payment_intent"],
        "reason": "fraudulent",
        "status": "warning_needs_response" if inquiry else "needs_response",
    }


def balance_transaction(source: str, amount: int, fee: int, currency: str, category: str) -> Json:
    """A BalanceTransaction: what an effect has added to the merchant's balance, and the fee taken of that."""
    what = {"amount": fee, "application": None, "currency": currency, "description": "fee", "type": "stripe_fee"}
    return {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": int(time.time()),
        "created": int(time.time()),
        "currency": currency,
        "description": None,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [what] if fee else [],
        "net": amount - fee,
        "reporting_category": category,
        "source": source,
        "status": "available",
        "type": "charge" if category == "charge" else "adjustment",
    }


def listing(url: str, data: list[Json], has_more: bool) -> Json:
    """A list, as Stripe pages it."""
    return {"object": "list", "url": url, "has_more": has_more, "data": data}


def search_result(url: str, data: list[Json], has_more: bool, next_page: str | None) -> Json:
    """A search result; its pages are named, not found by id."""
    answer: dict[str, Any] = {"object": "search_result", "url": url, "has_more": has_more}
    return {**answer, "data": data, "next_page": next_page, "total_count": None}
