"""No text from outside is longer than its column: a new column has to say here what bounds it."""

import pytest
import sqlalchemy as sa
from pydantic import BaseModel

from adapters.mysql.tables import orders, payments, stock
from adapters.mysql.tables.schema import Code, Sku, Uuid
from domain.catalog import LONGEST_NAME
from schemas.credit import GrantCredit
from schemas.operator_tasks import ResolutionRequest
from schemas.parcel_resolutions import ParcelResolutionRequest
from schemas.payment_reconciliation import DifferenceDecisionRequest
from schemas.product_edits import NewProduct
from schemas.refunds import RefundRequest
from schemas.stock import NewMovement
from schemas.webhooks import ReviewRequest

# The field of a request that is stored there.
BY_REQUEST: dict[str, tuple[type[BaseModel], str]] = {
    "refunds.reason": (RefundRequest, "reason"),
    "credit_entries.reason": (GrantCredit, "reason"),
    "payment_differences.reason": (DifferenceDecisionRequest, "reason"),
    "flagged_webhooks.review": (ReviewRequest, "reason"),
    "stock_movements.reason": (NewMovement, "reason"),
    "order_lines.name": (NewProduct, "name"),
    "operator_tasks.resolution": (ResolutionRequest, "reason"),
    "parcel_resolutions.reason": (ParcelResolutionRequest, "reason"),
}
# Cut by who writes it: `fitted`, or a slice where it is read from outside (the note, the webhook's type) or composed.
CUT = {
    *("disputes.reason", "payment_differences.note", "flagged_webhooks.type"),
    *(f"operator_tasks.{name}" for name in ("about", "text", "route")),
}
# An e-mail address is validated, and a valid one has no more than 254 characters.
VALIDATED = {"orders.email"}
# The provider's and the carrier's own ids: cut they would name something else.
IDS = {
    *(f"parcels.{name}" for name in ("shipment_id", "tracking_number", "tracking_url", "label_url", "rate_id")),
    "parcels.carrier_service",
    *("payment_entries.provider_id", "refund_parts.provider_id", "refund_parts.provider_refund_id"),
    *("disputes.id", "disputes.payment_id", "flagged_webhooks.event_id", "flagged_webhooks.payment_id"),
    *(f"payment_differences.{name}" for name in ("subject", "order_id", "payment_id", "live_key")),
}
# Written by our own code: codes, keys, actors.
OURS = {
    *("currency", "cart_claim", "step", "actor", "idempotency_key", "movement_key", "reviewed_by", "country"),
    *("workflow_id", "task_key", "resolved_by", "shipping_cost_currency"),
}
SEEDED = {"warehouses.name"}


def text_columns() -> dict[str, int]:
    tables = [table for module in (orders, payments, stock) for table in vars(module).values()]
    return {
        f"{table.name}.{column.name}": column.type.length or 0
        for table in tables
        if isinstance(table, sa.Table)
        for column in table.columns
        if isinstance(column.type, sa.String) and column.type not in (Code, Sku, Uuid)
    }


def test_every_text_column_has_a_bound() -> None:
    unbounded = text_columns().keys() - BY_REQUEST.keys() - CUT - VALIDATED - IDS - SEEDED
    assert {name.partition(".")[2] for name in unbounded} == OURS


@pytest.mark.parametrize("column", BY_REQUEST)
def test_a_request_holds_no_more_than_its_column(column: str) -> None:
    model, field = BY_REQUEST[column]
    shape = model.model_json_schema()["properties"][field]
    longest = [part["maxLength"] for part in (shape, *shape.get("anyOf", [])) if "maxLength" in part]
    assert len(longest) == 1
    assert longest[0] <= text_columns()[column]


def test_the_name_of_a_variant_fits_its_line() -> None:
    assert text_columns()["order_lines.name"] == LONGEST_NAME
