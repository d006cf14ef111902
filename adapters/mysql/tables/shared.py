"""The tables that several services' rows go through: outbox, keys of requests, webhooks, notifications, schedules."""

import sqlalchemy as sa

from adapters.mysql.tables.schema import Code, Json, Moment, Uuid, key, table

outbox_partitions = table(
    "outbox_partitions",
    sa.Column("outbox", Code, primary_key=True),
    sa.Column("partition_no", sa.SmallInteger, primary_key=True, autoincrement=False),
)

idempotency_keys = table(
    "idempotency_keys",
    sa.Column("principal", key(100), primary_key=True),
    sa.Column("route", key(100), primary_key=True),
    sa.Column("idempotency_key", key(255), primary_key=True),
    sa.Column("fingerprint", sa.CHAR(64), nullable=False),
    sa.Column("resource_id", Uuid, nullable=False, index=True),
    sa.Column("locked_until", Moment),
    sa.Column("status_code", sa.SmallInteger),
    sa.Column("response", Json),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False, index=True),
)

webhook_receipts = table(
    "webhook_receipts",
    sa.Column("source", Code, primary_key=True),
    sa.Column("event_id", key(255), primary_key=True),
    sa.Column("type", key(100), nullable=False),
    sa.Column("outcome", key(40), nullable=False),
    sa.Column("received_at", Moment, nullable=False, index=True),
)

# --- Notification service

notifications = table(
    "notifications",
    sa.Column("event_id", Uuid, primary_key=True),
    sa.Column("channel", Code, primary_key=True),
    sa.Column("order_id", Uuid, nullable=False, index=True),
    sa.Column("recipient", sa.String(254), nullable=False),
    sa.Column("message_id", sa.String(255), nullable=False),
    sa.Column("sent_at", Moment, nullable=False, index=True),
)

# --- Scheduled work

schedule_runs = table(
    "schedule_runs",
    sa.Column("schedule", Code, primary_key=True),
    sa.Column("every_seconds", sa.Integer, comment="NULL until `order-admin setup` has made the schedule"),
    sa.Column("known_since", Moment, nullable=False),
    sa.Column("succeeded_at", Moment, comment="when the last run that succeeded ended; NULL: none has"),
    sa.Column("seconds", sa.Double, comment="how long that run took"),
)
