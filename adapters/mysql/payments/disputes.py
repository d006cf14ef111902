"""Disputes as the provider has them: one row each, with its money in the ledger and its events in one transaction."""

from typing import Any

import sqlalchemy as sa

from adapters.mysql.bounds import fitted
from adapters.mysql.clock import aware, naive, now
from adapters.mysql.history import Change, append, lock_order, recorded
from adapters.mysql.payments.ledger import derived_status, write_entry
from adapters.mysql.tables.payments import disputes
from adapters.mysql.transactions import in_transaction
from domain.actors import PROVIDER_ACTOR
from domain.disputes import DisputeStatus
from domain.errors import NotFound
from domain.events import EventType
from schemas.base import Money
from schemas.disputes import (
    ActionTaken,
    DisputeAction,
    DisputePage,
    DisputeRecorded,
    DisputeState,
    DisputeView,
    NoteAction,
    RecordDispute,
)
from schemas.payments import RecordPayment


class Disputes:
    """Stores disputes and the actions taken; a repeat changes nothing."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(self, command: RecordDispute) -> DisputeRecorded:
        """Store its state, book its movements and append its events. Raises NotFound for an unknown order."""
        return in_transaction(self._engine, lambda connection: _record(connection, command))

    def note(self, command: NoteAction) -> DisputeView:
        """Record an action. Raises NotFound."""
        return in_transaction(self._engine, lambda connection: _note(connection, command))

    def get(self, dispute_id: str) -> DisputeView | None:
        """The dispute with this id."""
        with self._engine.connect() as connection:
            row = _find(connection, dispute_id)
        return _view(row) if row else None

    def page(self, cursor: tuple[bool, int] | None, limit: int) -> DisputePage:
        """The open ones first, the newest of them first; `cursor` is the last row's openness and number."""
        query = sa.select(disputes)
        if cursor is not None:
            query = query.where(sa.tuple_(disputes.c.open, disputes.c.number) < sa.tuple_(*cursor))
        ordered = query.order_by(disputes.c.open.desc(), disputes.c.number.desc()).limit(limit + 1)
        with self._engine.connect() as connection:
            rows = connection.execute(ordered).all()
        following = None
        if len(rows) > limit:
            last = rows[limit - 1]
            following = f"{int(last.open)}-{last.number}"
        return DisputePage(items=[_view(row) for row in rows[:limit]], next_cursor=following)


def _record(connection: sa.Connection, command: RecordDispute) -> DisputeRecorded:
    standing = command.standing
    order = lock_order(connection, command.order_id)
    known = _find(connection, standing.dispute_id)
    if known is not None and _is_outdated(standing, known):
        return DisputeRecorded(dispute=_view(known), payment_status=derived_status(connection, command.order_id))
    _write_row(connection, command, known)
    for movement in standing.movements:
        entry = RecordPayment(
            order_id=command.order_id,
            kind=movement.kind,
            amount=movement.amount,
            currency=standing.currency,
            provider_id=movement.provider_id,
            idempotency_key=f"dispute-{standing.dispute_id}:{movement.kind}:{movement.provider_id}",
        )
        write_entry(connection, order, entry, PROVIDER_ACTOR)
    _append_events(connection, command.order_id, standing, first=known is None)
    row = _find(connection, standing.dispute_id)
    assert row is not None
    return DisputeRecorded(dispute=_view(row), payment_status=derived_status(connection, command.order_id))


def _write_row(connection: sa.Connection, command: RecordDispute, known: sa.Row[Any] | None) -> None:
    standing = command.standing
    values: dict[str, Any] = {
        "amount": standing.amount,
        "status": standing.status,
        "open": standing.is_open,
        "evidence_due_at": naive(standing.evidence_due_at) if standing.evidence_due_at else None,
        "closed_at": None if standing.is_open else (known and known.closed_at) or now(),
        "updated_at": now(),
    }
    if known is None:
        values |= {
            "id": standing.dispute_id,
            "order_id": command.order_id,
            "payment_id": standing.payment_id,
            "currency": standing.currency,
            "reason": fitted(disputes.c.reason, standing.reason),
            "actions": {},
            "opened_at": now(),
        }
        connection.execute(sa.insert(disputes).values(values))
    else:
        connection.execute(sa.update(disputes).where(disputes.c.id == standing.dispute_id).values(values))


def _is_outdated(standing: DisputeState, known: sa.Row[Any]) -> bool:
    """Retrieved before the dispute was closed, by a slow worker: it must not reopen it."""
    asked_at = standing.asked_at
    return standing.is_open and not known.open and asked_at is not None and naive(asked_at) <= known.closed_at


def _append_events(connection: sa.Connection, order_id: str, standing: DisputeState, *, first: bool) -> None:
    """One event when it is opened as an inquiry or as a chargeback, and one when it is closed."""
    events: list[tuple[str, EventType, dict[str, object]]] = []
    if first or standing.is_open:
        kind = "inquiry" if standing.status.is_inquiry else "chargeback"
        events.append((kind, EventType.PAYMENT_DISPUTED, {"inquiry": standing.status.is_inquiry}))
    if not standing.is_open:
        events.append((f"closed:{standing.status}", EventType.PAYMENT_DISPUTE_CLOSED, {"outcome": standing.status}))
    for name, event_type, extra in events:
        step = f"dispute-{standing.dispute_id}:{name}"
        if recorded(connection, order_id, step) is None:
            data = {
                "dispute_id": standing.dispute_id,
                "amount": {"amount": standing.amount, "currency": standing.currency},
                "reason": standing.reason,
                **extra,
            }
            status = derived_status(connection, order_id)
            change = Change(step, event_type, PROVIDER_ACTOR, data, payment_status=status)
            append(connection, lock_order(connection, order_id), change)


def _note(connection: sa.Connection, command: NoteAction) -> DisputeView:
    query = sa.select(disputes).where(disputes.c.id == command.dispute_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"There is no dispute {command.dispute_id}.")
    if command.key not in row.actions:
        moment = now()
        taken = ActionTaken(
            action=command.action, actor=command.actor, reason=command.reason, at=aware(moment), text=command.text
        )
        values: dict[str, Any] = {"actions": row.actions | {command.key: taken.model_dump(mode="json")}}
        if command.action is DisputeAction.RELEASED:
            values["released_at"] = moment
        connection.execute(
            sa.update(disputes).where(disputes.c.id == command.dispute_id).values(updated_at=moment, **values)
        )
    noted = _find(connection, command.dispute_id)
    assert noted is not None
    return _view(noted)


def _find(connection: sa.Connection, dispute_id: str) -> sa.Row[Any] | None:
    return connection.execute(sa.select(disputes).where(disputes.c.id == dispute_id)).one_or_none()


def _view(row: sa.Row[Any]) -> DisputeView:
    status = next((known for known in DisputeStatus if known == row.status), None)
    due = row.evidence_due_at
    actions = [ActionTaken.model_validate(action) for action in row.actions.values()]
    return DisputeView(
        id=row.id,
        order_id=row.order_id,
        payment_id=row.payment_id,
        amount=Money(amount=row.amount, currency=row.currency),
        reason=row.reason,
        status=row.status,
        open=row.open,
        # The status may be a newer release's; an open dispute counts as undecided then.
        frozen=(status.is_undecided if status else row.open) and row.released_at is None,
        evidence_due_at=aware(due) if due else None,
        overdue=status is not None and status.needs_response and bool(due) and due < now(),
        actions=sorted(actions, key=lambda action: action.at),
        opened_at=aware(row.opened_at),
        closed_at=aware(row.closed_at) if row.closed_at else None,
    )
