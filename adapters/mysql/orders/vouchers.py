"""Vouchers: their terms, and the count of their uses, taken and released with the order they belong to."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from adapters.mysql.clock import now
from adapters.mysql.constraints import PRIMARY, violated_key
from adapters.mysql.tables.orders import voucher_redemptions, vouchers
from domain.errors import CodeTaken, Conflict, NotFound, StaleVersion
from domain.money import Money
from domain.vouchers import Voucher, VoucherKind, refusal
from schemas.vouchers import NewVoucher, VoucherPage, VoucherTerms, VoucherView

_MOMENTS = ("valid_from", "valid_to", "created_at", "updated_at")


class Vouchers:
    """Vouchers as staff manage them and orders use them."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def create(self, new: NewVoucher) -> VoucherView:
        """Make a code; raises CodeTaken when it exists, whatever its state: a used code never stands for another."""
        moment = now()
        values = {**_columns(new), "code": new.code, "created_at": moment, "updated_at": moment}
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(vouchers).values(values))
        except IntegrityError as error:
            if violated_key(error) != PRIMARY:
                raise
            raise CodeTaken(f"There is a voucher {new.code} already.", voucher=new.code) from None
        return self.get(new.code)

    def get(self, code: str) -> VoucherView:
        """The voucher as staff see it; raises NotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(vouchers).where(vouchers.c.code == code)).one_or_none()
        if row is None:
            raise NotFound("There is no such voucher.")
        return _view(row)

    def page(self, after: str, limit: int) -> VoucherPage:
        """The vouchers in the order of their codes."""
        query = sa.select(vouchers).where(vouchers.c.code > after).order_by(vouchers.c.code).limit(limit + 1)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        cursor = rows[limit - 1].code if len(rows) > limit else None
        return VoucherPage(items=[_view(row) for row in rows[:limit]], next_cursor=cursor)

    def change(self, code: str, terms: VoucherTerms, expected_version: int | None) -> VoucherView:
        """Change its terms; raises NotFound, StaleVersion unless it has the version expected (None: any).

        A limit below the uses already taken is refused with Conflict.
        """
        with self._engine.begin() as connection:
            row = connection.execute(
                sa.select(vouchers.c.version, vouchers.c.uses).where(vouchers.c.code == code).with_for_update()
            ).one_or_none()
            if row is None:
                raise NotFound("There is no such voucher.")
            if expected_version not in (None, row.version):
                raise StaleVersion(f"The voucher has version {row.version}.", version=row.version)
            if terms.max_uses is not None and terms.max_uses < row.uses:
                raise Conflict(f"It has been used {row.uses} times already.", uses=row.uses)
            values = {**_columns(terms), "version": row.version + 1, "updated_at": now()}
            connection.execute(sa.update(vouchers).where(vouchers.c.code == code).values(values))
        return self.get(code)

    def terms(self, code: str) -> Voucher:
        """The voucher's terms, for pricing; raises VoucherRefused for an unknown code."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(vouchers).where(vouchers.c.code == code)).one_or_none()
        if row is None:
            raise refusal("voucher_unknown")
        return _terms(row)

    def check_left(self, code: str, customer_id: str | None) -> None:
        """Raise VoucherRefused when this customer (None: a guest) has no use of it left at this moment.

        Takes no use: only the order's own transaction does.
        """
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(vouchers).where(vouchers.c.code == code)).one_or_none()
            _check_left(connection, row, customer_id)


def take_use(connection: sa.Connection, code: str, order_id: str, customer_id: str) -> None:
    """Count one use for this order, in the order's own transaction; raises VoucherRefused when none is left.

    The voucher's row stays locked until the commit, so that of two orders for the last use one gets it.
    """
    row = connection.execute(sa.select(vouchers).where(vouchers.c.code == code).with_for_update()).one_or_none()
    _check_left(connection, row, customer_id)
    moment = now()
    connection.execute(
        sa.insert(voucher_redemptions).values(
            order_id=order_id, code=code, customer_id=customer_id, taken=True, created_at=moment, updated_at=moment
        )
    )
    connection.execute(sa.update(vouchers).where(vouchers.c.code == code).values(uses=vouchers.c.uses + 1))


def _check_left(connection: sa.Connection, row: sa.Row[Any] | None, customer_id: str | None) -> None:
    if row is None or not row.active:
        raise refusal("voucher_unknown")
    if row.max_uses is not None and row.uses >= row.max_uses:
        raise refusal("voucher_used_up", max_uses=row.max_uses)
    if row.max_uses_per_customer is not None and customer_id is not None:
        mine = connection.scalar(
            sa.select(sa.func.count()).where(
                voucher_redemptions.c.code == row.code,
                voucher_redemptions.c.customer_id == customer_id,
                voucher_redemptions.c.taken,
            )
        )
        if (mine or 0) >= row.max_uses_per_customer:
            raise refusal("voucher_used_by_you", max_uses_per_customer=row.max_uses_per_customer)


def release_use(connection: sa.Connection, order_id: str) -> str | None:
    """Release the order's use. Answers the code, or None when it has none (any more)."""
    row = connection.execute(
        sa.select(voucher_redemptions.c.code)
        .where(voucher_redemptions.c.order_id == order_id, voucher_redemptions.c.taken)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return None
    connection.execute(
        sa.update(voucher_redemptions)
        .where(voucher_redemptions.c.order_id == order_id)
        .values(taken=False, updated_at=now())
    )
    connection.execute(sa.update(vouchers).where(vouchers.c.code == row.code).values(uses=vouchers.c.uses - 1))
    return str(row.code)


def _columns(terms: VoucherTerms) -> dict[str, Any]:
    values = terms.model_dump(mode="json", exclude={"code", "valid_from", "valid_to"})
    values["basis_points"] = terms.basis_points or 0
    ends = {"valid_from": terms.valid_from, "valid_to": terms.valid_to}
    return values | {name: end.astimezone(UTC).replace(tzinfo=None) if end else None for name, end in ends.items()}


def _view(row: sa.Row[Any]) -> VoucherView:
    values: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a row as a mapping
    return VoucherView(**values | {name: _aware(values[name]) for name in _MOMENTS})


def _terms(row: sa.Row[Any]) -> Voucher:
    def money(amount: int | None) -> Money | None:
        return Money(amount, row.currency) if amount is not None else None

    return Voucher(
        code=row.code,
        kind=VoucherKind(row.kind),
        basis_points=row.basis_points,
        amount=money(row.amount),
        minimum=money(row.minimum),
        valid_from=_aware(row.valid_from),
        valid_to=_aware(row.valid_to),
        active=row.active,
    )


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None
