"""A delivery is noted once, however often it comes."""

import pytest
import sqlalchemy as sa
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.tables.shared import webhook_receipts
from adapters.mysql.webhooks import WebhookReceipts


@pytest.fixture
def receipts(connections: Connections) -> WebhookReceipts:
    return WebhookReceipts(connections.engine)


def test_a_noted_delivery_is_seen_by_its_sender_only(receipts: WebhookReceipts) -> None:
    event_id = f"evt_{uuid_utils.uuid7().hex}"
    assert not receipts.seen("stripe", event_id)
    receipts.record("stripe", event_id, "payment_intent.succeeded", "applied")
    assert receipts.seen("stripe", event_id)
    assert not receipts.seen("carrier", event_id)


def test_the_first_note_stays(receipts: WebhookReceipts, connections: Connections) -> None:
    event_id = f"evt_{uuid_utils.uuid7().hex}"
    receipts.record("stripe", event_id, "charge.refunded", "applied")
    receipts.record("stripe", event_id, "charge.refunded", "ignored")
    query = sa.select(webhook_receipts.c.outcome).where(webhook_receipts.c.event_id == event_id)
    with connections.engine.connect() as connection:
        assert connection.scalars(query).all() == ["applied"]
