"""Differences that payment reconciliation has found: one row for each, however many runs see it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.clock import aware, naive, now
from adapters.mysql.tables.payments import payment_differences, payment_reconciliations
from adapters.mysql.transactions import in_transaction
from domain.errors import DifferenceDecided, NoRepair, NotFound
from domain.orders import OrderStatus
from domain.reconciliation import Difference, DifferenceKind, DifferenceStatus, Repair
from schemas.payment_reconciliation import (
    DecideDifference,
    DecisionAction,
    ExaminePayments,
    PaymentDifference,
    PaymentDifferencePage,
    PaymentReconciliation,
    PaymentsReconciled,
    SettleDifference,
)

_D = DifferenceStatus
_c = payment_differences.c
_rank = sa.case({_D.OPEN: 0, _D.REPAIRING: 1, _D.WATCHED: 2}, value=_c.status, else_=3)
_VALUES = ("repair", "repair_amount", "provider_amount", "ledger_amount", "order_status")


class PaymentDifferences:
    """Stores differences and decisions about them; one of a running order is only watched during `grace`."""

    def __init__(self, engine: sa.Engine, grace: timedelta) -> None:
        self._engine = engine
        self._grace = grace

    def keep(
        self,
        order_id: str,
        status: OrderStatus | None,
        currency: str | None,
        found: Sequence[Difference],
        *,
        running: bool,
    ) -> list[PaymentDifference]:
        """Store what has just been found of an order; answers the differences that are open now.

        One that is not found any more is closed. A dismissed one stays dismissed until its amounts change.
        """
        common = {"order_id": order_id, "order_status": status, "currency": currency}
        rows = {_live_key(difference): _row(difference) | common for difference in found}

        def work(connection: sa.Connection) -> list[PaymentDifference]:
            known = _live(connection, order_id)
            for key in known.keys() - rows.keys():
                _close(connection, known[key])
            for key, row in rows.items():
                self._see(connection, key, known.get(key), row, running)
            return [_view(row) for row in _live(connection, order_id).values() if row.status == _D.OPEN]

        return in_transaction(self._engine, work)

    def _see(
        self, connection: sa.Connection, key: str, known: sa.Row[Any] | None, row: Mapping[str, Any], running: bool
    ) -> None:
        moment = now()
        if known is None:
            status = _D.WATCHED if running else _D.OPEN
            new = {**row, "live_key": key, "status": status, "first_seen_at": moment, "last_seen_at": moment}
            statement = mysql_insert(payment_differences).values(new)
            # Another run has just seen it as well.
            connection.execute(statement.on_duplicate_key_update(last_seen_at=moment))
            return
        changed: dict[str, Any] = {"last_seen_at": moment}
        same = all(getattr(known, name) == row[name] for name in _VALUES)
        if known.status == _D.WATCHED and (not running or moment - known.first_seen_at >= self._grace):
            changed |= {**row, "status": _D.OPEN}
        elif known.status in (_D.OPEN, _D.WATCHED):
            changed |= row
        elif known.status == _D.DISMISSED and not same:
            changed |= {**row, "status": _D.OPEN, "decision": None, "reason": None, "actor": None, "decided_at": None}
        connection.execute(sa.update(payment_differences).where(_c.id == known.id).values(changed))

    def unseen_since(self, moment: datetime, after: int, limit: int) -> tuple[list[ExaminePayments], int | None]:
        """Orders with differences that a run begun then has not seen, and where to go on."""
        old = sa.and_(_c.live_key.is_not(None), _c.last_seen_at < naive(moment), _c.id > after)
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(payment_differences).where(old).order_by(_c.id).limit(limit)).all()
        orders = [
            ExaminePayments(order_id=row.order_id, payment_ids=[row.payment_id] if row.payment_id else [])
            for row in rows
        ]
        return orders, rows[-1].id if len(rows) == limit else None

    def exists(self, difference_id: int) -> bool:
        """Whether there is or was such a difference."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(_c.id).where(_c.id == difference_id)) is not None

    def payments_of(self, order_id: str) -> list[str]:
        """The payments of the order with a difference that lasts."""
        mine = (_c.order_id == order_id, _c.live_key.is_not(None), _c.payment_id.is_not(None))
        with self._engine.connect() as connection:
            return list(connection.scalars(sa.select(_c.payment_id).where(*mine).distinct()))

    def decide(self, command: DecideDifference) -> PaymentDifference:
        """Record the decision; a repeat changes nothing. Raises NotFound, DifferenceDecided, NoRepair."""

        def work(connection: sa.Connection) -> PaymentDifference:
            row = _found(connection, command.difference_id, lock=True)
            if row.decision_id == command.decision_id:
                return _view(row)
            if row.status not in (_D.OPEN, _D.WATCHED):
                raise DifferenceDecided(f"The difference is {row.status}.", status=row.status)
            applies = command.action is DecisionAction.APPLY
            if applies and row.repair == Repair.MANUAL_REVIEW:
                raise NoRepair("It has no automatic repair: correct it by hand, then dismiss it.")
            status = _D.REPAIRING if applies else _D.DISMISSED
            changed = {
                "status": status,
                "decision": command.action,
                "decision_id": command.decision_id,
                "reason": command.reason,
                "actor": command.actor,
                "decided_at": now(),
                "note": None,
            }
            connection.execute(sa.update(payment_differences).where(_c.id == row.id).values(changed))
            return _view(_found(connection, row.id))

        return in_transaction(self._engine, work)

    def settle(self, command: SettleDifference) -> PaymentDifference:
        """Record how a repair has ended; a failed one is open again, for another decision."""

        def work(connection: sa.Connection) -> PaymentDifference:
            row = _found(connection, command.difference_id, lock=True)
            if row.status == _D.REPAIRING:
                changed: dict[str, Any] = {"status": command.status, "note": command.note}
                if command.status is _D.OPEN:
                    changed |= {"decision": None, "decided_at": None}
                else:
                    changed |= {"live_key": None}
                connection.execute(sa.update(payment_differences).where(_c.id == row.id).values(changed))
            return _view(_found(connection, row.id))

        return in_transaction(self._engine, work)

    def returned(self, payment_id: str, actor: str) -> None:
        """Close the differences of an orphaned payment that was returned automatically."""
        orphaned = [DifferenceKind.ORPHANED_AUTHORIZATION, DifferenceKind.ORPHANED_CAPTURE]
        these = (_c.subject == payment_id, _c.kind.in_(orphaned), _c.status.in_([_D.OPEN, _D.WATCHED]))
        closed = {"live_key": None, "status": _D.REPAIRED, "actor": actor, "decided_at": now()}
        with self._engine.begin() as connection:
            connection.execute(sa.update(payment_differences).where(*these).values(closed))

    def count(self, status: DifferenceStatus) -> int:
        """The number of differences with this status."""
        with self._engine.connect() as connection:
            query = sa.select(sa.func.count()).select_from(payment_differences).where(_c.status == status)
            return connection.scalar(query) or 0

    def keep_run(self, started_at: datetime, done: PaymentsReconciled) -> None:
        """Store a whole run; a repeat of the same run writes the same row."""
        row = {
            "started_at": naive(started_at),
            "finished_at": now(),
            **done.model_dump(include={"payments", "refunds", "entries", "orders"}),
            "differences_open": done.open,
        }
        with self._engine.begin() as connection:
            connection.execute(mysql_insert(payment_reconciliations).values(row).on_duplicate_key_update(row))

    def page(self, cursor: tuple[int, int] | None, limit: int) -> PaymentDifferencePage:
        """The open ones first, then those being repaired, each newest first; `next_cursor` is `<rank>.<id>`."""
        query = sa.select(payment_differences, _rank.label("rank"))
        if cursor is not None:
            rank, before = cursor
            query = query.where(sa.or_(_rank > rank, sa.and_(_rank == rank, _c.id < before)))
        last = sa.select(payment_reconciliations).order_by(payment_reconciliations.c.id.desc()).limit(1)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(_rank, _c.id.desc()).limit(limit + 1)).all()
            run = connection.execute(last).one_or_none()
        following = f"{rows[limit - 1].rank}.{rows[limit - 1].id}" if len(rows) > limit else None
        return PaymentDifferencePage(
            items=[_view(row) for row in rows[:limit]], last_run=_run(run) if run else None, next_cursor=following
        )


def _live_key(difference: Difference) -> str:
    return f"{difference.kind}:{difference.effect or ''}:{difference.subject}"


def _row(difference: Difference) -> dict[str, Any]:
    return {
        "kind": difference.kind,
        "effect": difference.effect,
        "subject": difference.subject,
        "payment_id": difference.payment_id,
        "provider_amount": difference.provider_amount,
        "ledger_amount": difference.ledger_amount,
        "repair": difference.repair,
        "repair_amount": difference.repair_amount,
    }


def _live(connection: sa.Connection, order_id: str) -> dict[str, sa.Row[Any]]:
    query = sa.select(payment_differences).where(_c.order_id == order_id, _c.live_key.is_not(None))
    return {row.live_key: row for row in connection.execute(query.with_for_update())}


def _close(connection: sa.Connection, row: sa.Row[Any]) -> None:
    if row.status == _D.REPAIRING:  # its workflow records how it ends
        return
    status = _D.DISMISSED if row.status == _D.DISMISSED else _D.RESOLVED_ITSELF
    closed = {"live_key": None, "status": status}
    connection.execute(sa.update(payment_differences).where(_c.id == row.id).values(closed))


def _found(connection: sa.Connection, difference_id: int, *, lock: bool = False) -> sa.Row[Any]:
    query = sa.select(payment_differences).where(_c.id == difference_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound("There is no such difference.")
    return row


def _view(row: sa.Row[Any]) -> PaymentDifference:
    return PaymentDifference.model_validate(
        {
            **{name: getattr(row, name) for name in PaymentDifference.model_fields if hasattr(row, name)},
            "proposed_repair": row.repair,
            "first_seen_at": aware(row.first_seen_at),
            "last_seen_at": aware(row.last_seen_at),
            "decided_at": aware(row.decided_at) if row.decided_at else None,
        }
    )


def _run(row: sa.Row[Any]) -> PaymentReconciliation:
    return PaymentReconciliation(
        id=row.id,
        started_at=aware(row.started_at),
        finished_at=aware(row.finished_at),
        payments=row.payments,
        refunds=row.refunds,
        entries=row.entries,
        orders=row.orders,
        differences_open=row.differences_open,
    )
