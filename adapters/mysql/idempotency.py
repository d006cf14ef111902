"""Idempotency keys: one request is carried out once and has one answer, however often it is sent."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from adapters.mysql.constraints import PRIMARY, violated_key
from adapters.mysql.tables.shared import idempotency_keys
from domain.errors import IdempotencyMismatch, RequestInProgress


@dataclass(frozen=True)
class Begun:
    """How to continue with a request: repeat the stored answer, or carry it out under `resource_id`.

    `fresh` is False when an earlier request with this key may already have done part of it.
    """

    resource_id: str
    fresh: bool = True
    status_code: int | None = None
    response: Any = None

    @property
    def is_answered(self) -> bool:
        """An earlier request with this key got this answer."""
        return self.status_code is not None


@dataclass(frozen=True)
class Owned:
    """Whose resource an id stands for, though it may not be recorded anywhere else yet."""

    principal: str
    answered: bool


class IdempotencyKeys:
    """Claims of idempotency keys, scoped to a principal and a route.

    A claim is a lock that ends by itself after `lock_seconds`, so that the key of a request whose process
    died can be taken over; whoever takes over works under the same resource id.
    """

    def __init__(self, engine: sa.Engine, lock_seconds: float = 30, keep_hours: int = 24) -> None:
        self._engine = engine
        self._lock = timedelta(seconds=lock_seconds)
        self._keep = timedelta(hours=keep_hours)

    def begin(self, principal: str, route: str, key: str, fingerprint: str, new_resource_id: str) -> Begun:
        """Claim the key, or answer how the request that holds it ended.

        Raises IdempotencyMismatch when it was sent with another fingerprint, RequestInProgress while it is held.
        """
        now = datetime.now(UTC)
        row = {
            "principal": principal,
            "route": route,
            "idempotency_key": key,
            "fingerprint": fingerprint,
            "resource_id": new_resource_id,
            "locked_until": now + self._lock,
            "status_code": None,
            "response": sa.null(),
            "created_at": now,
            "expires_at": now + self._keep,
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(idempotency_keys).values(row))
        except sa.exc.IntegrityError as error:
            if violated_key(error) != PRIMARY:
                raise
            return self._join(row, now)
        return Begun(new_resource_id)

    def finish(self, principal: str, route: str, key: str, status_code: int, response: object) -> None:
        """Store the answer for every later request with this key; the first answer stays."""
        self._update(
            sa.and_(_named(principal, route, key), idempotency_keys.c.status_code.is_(None)),
            {"status_code": status_code, "response": response, "locked_until": None},
        )

    def release(self, principal: str, route: str, key: str) -> None:
        """Release the key without an answer: the next request with it continues under the same resource id."""
        self._update(_named(principal, route, key), {"locked_until": None})

    def owner_of(self, resource_id: str) -> Owned | None:
        """Who requested the resource with this id."""
        query = sa.select(idempotency_keys.c.principal, idempotency_keys.c.status_code).where(
            idempotency_keys.c.resource_id == resource_id
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else Owned(row.principal, answered=row.status_code is not None)

    def _join(self, new: dict[str, Any], now: datetime) -> Begun:
        this = _named(new["principal"], new["route"], new["idempotency_key"])
        with self._engine.begin() as connection:
            held = connection.execute(sa.select(idempotency_keys).where(this).with_for_update()).one()
            if held.expires_at.replace(tzinfo=UTC) <= now:
                connection.execute(sa.update(idempotency_keys).where(this).values(new))
                return Begun(new["resource_id"])
            if held.fingerprint != new["fingerprint"]:
                raise IdempotencyMismatch("This Idempotency-Key was sent before with another request.")
            if held.status_code is not None:
                return Begun(held.resource_id, False, held.status_code, held.response)
            if held.locked_until is not None and held.locked_until.replace(tzinfo=UTC) > now:
                raise RequestInProgress("A request with this Idempotency-Key is being worked on; try again shortly.")
            connection.execute(sa.update(idempotency_keys).where(this).values(locked_until=new["locked_until"]))
            return Begun(held.resource_id, fresh=False)

    def _update(self, which: sa.ColumnElement[bool], values: dict[str, Any]) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.update(idempotency_keys).where(which).values(values))


def _named(principal: str, route: str, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        idempotency_keys.c.principal == principal,
        idempotency_keys.c.route == route,
        idempotency_keys.c.idempotency_key == key,
    )
