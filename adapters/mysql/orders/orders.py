"""Orders: recorded with their stock in one transaction, moved with one event each, read for the customer."""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from adapters.mysql.constraints import violated_key
from adapters.mysql.history import Change, LockedOrder, append, latest, lock_order, recorded, select_events
from adapters.mysql.orders import views
from adapters.mysql.orders.address_changes import change_address
from adapters.mysql.orders.backorders import active_lines
from adapters.mysql.orders.order_rows import line_rows, parcel_states, planned_parcels
from adapters.mysql.orders.parcel_resolutions import resolutions_of
from adapters.mysql.orders.placing import RESERVED_STEP, place
from adapters.mysql.orders.promises import BACKORDERED_FOR, promise_dispatch
from adapters.mysql.orders.reservations import RESERVED_FOR
from adapters.mysql.orders.shortening import take_available
from adapters.mysql.orders.sweeping import anything_remains
from adapters.mysql.orders.vouchers import release_use
from adapters.mysql.payments.credit_balances import credit_of_order
from adapters.mysql.payments.ledger import balances
from adapters.mysql.tables.orders import orders, parcels
from adapters.mysql.transactions import in_transaction
from domain.catalog import TaxClass
from domain.errors import CartChanged, NothingToAdopt
from domain.events import EventType
from domain.fulfilment import ParcelStatus
from domain.orders import (
    FINAL_STATUSES,
    NOT_DELIVERED,
    WAITING_STATUSES,
    OrderStatus,
    PaymentStatus,
    status_after_parcels,
)
from domain.replacements import of_the_order
from schemas.address_changes import AddressRecorded, RecordAddress
from schemas.checkout import Adoption, CheckoutInput, OnShortage, PricedOrder
from schemas.orders import (
    AdoptedOrder,
    AdoptOrder,
    OrderHistory,
    OrderPage,
    OrderPlaced,
    OrderShortened,
    OrderView,
    PlaceOrder,
    RecordStatus,
    ShortLine,
    StatusRecorded,
    TakeAvailable,
)

# A repeat violates either: both are of the same row, and the database says the one it has looked at first.
_SAME_ORDER, _SAME_CART = "uq_orders_id", "uq_orders_cart_claim"
_GOES_ON = (OrderStatus.PROCESSING, OrderStatus.ON_HOLD)


class OrderStore:
    """Orders with their lines, parcels and events."""

    def __init__(
        self,
        engine: sa.Engine,
        reserved_for: timedelta = RESERVED_FOR,
        backordered_for: timedelta = BACKORDERED_FOR,
    ) -> None:
        self._engine = engine
        self._reserved_for = reserved_for
        self._backordered_for = backordered_for

    def place(self, command: PlaceOrder) -> OrderPlaced:
        """Record the order with its stock reserved, or neither. A repeat answers what the first attempt did.

        When its customer is to decide about a shortage, what is missing is backordered and named as `short`.

        Raises OutOfStock naming what is short, VoucherRefused when no use of the voucher is left, and CartChanged when
        this version of the cart is ordered already.
        """
        order = command.order
        asking = order.on_shortage is OnShortage.ASK
        placed = self._placed(order.order_id, asking)
        if placed is not None:
            return placed
        try:
            in_transaction(self._engine, lambda connection: place(connection, command, self._reserved_for))
        except IntegrityError as error:
            if (key := violated_key(error)) not in (_SAME_ORDER, _SAME_CART):
                raise
            placed = self._placed(order.order_id, asking)
            if placed is None and key == _SAME_CART:
                raise CartChanged("This cart has been ordered already.", cart_version=order.cart_version) from None
        else:
            placed = self._placed(order.order_id, asking)
        assert placed is not None
        return placed

    def take_available(self, command: TakeAvailable) -> OrderShortened:
        """Reduce the order to what was in stock when it was placed; a repeat changes nothing."""
        allocated = in_transaction(self._engine, lambda connection: take_available(connection, command))
        placed = self._placed(command.order_id, asking=False)
        assert placed is not None
        return OrderShortened(placed=placed, allocated=allocated)

    def change_address(
        self, command: RecordAddress, tax_classes: Callable[[Collection[str]], Mapping[str, TaxClass]]
    ) -> AddressRecorded:
        """Write another shipping address, with the shipping and the tax there; a repeat changes nothing.

        Raises NotFound, TooLate, AddressRaisesTotal, and UnknownShippingMethod where it is not shipped to.
        """
        agreed = self.quote_of(command.order_id)
        classes = tax_classes([line.sku for line in agreed.lines]) if agreed is not None else {}
        return in_transaction(self._engine, lambda connection: change_address(connection, command, classes))

    def record_status(self, command: RecordStatus) -> StatusRecorded:
        """Move the order, with its event; a repeat of the step answers the first. Raises NotFound, IllegalMove.

        A failed or cancelled order releases its use of the voucher; a confirmed one promises when its parcels ship.
        """
        return in_transaction(
            self._engine, lambda connection: _record_status(connection, command, self._backordered_for)
        )

    def checkout_of(self, order_id: str, adoption: Adoption) -> CheckoutInput | None:
        """The order as it is handed to the workflow that adopts it; None when it is not placed.

        Raises NothingToAdopt for one that has ended and is settled.
        """
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(orders).where(orders.c.id == order_id)).one_or_none()
            if row is None:
                return None
            if row.status in FINAL_STATUSES and not anything_remains(connection, order_id):
                message = f"The order is {row.status}, and nothing of it is held, reserved or under way."
                raise NothingToAdopt(message)
            return views.checkout(row, line_rows(connection, order_id), adoption)

    def adopt(self, command: AdoptOrder) -> AdoptedOrder:
        """Record that a new workflow takes the order over; answers what is recorded of it. Raises NotFound."""
        status, payment_status = in_transaction(self._engine, lambda connection: _record_adoption(connection, command))
        query = sa.select(parcels.c.number, parcels.c.status).where(parcels.c.order_id == command.order_id)
        with self._engine.connect() as connection:
            statuses = {row.number: ParcelStatus(row.status) for row in connection.execute(query)}
        placed = self._placed(command.order_id, asking=False)
        assert placed is not None
        return AdoptedOrder(status=status, payment_status=payment_status, placed=placed, parcels=statuses)

    def get(self, order_id: str, *, for_staff: bool = False) -> OrderView | None:
        """The order in full; `for_staff` with what the carrier charges for its parcels, and their labels."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(orders).where(orders.c.id == order_id)).one_or_none()
            if row is None:
                return None
            lines = line_rows(connection, order_id)
            parcel_rows = connection.execute(
                sa.select(parcels).where(parcels.c.order_id == order_id).order_by(parcels.c.number)
            ).all()
            backordered = {
                (line.parcel, line.sku): line.backordered
                for line in active_lines(connection, order_id)
                if line.backordered
            }
            money = views.payment_balance(
                balances(connection, order_id), credit_of_order(connection, order_id), row.currency
            )
            failed = any(ParcelStatus(parcel.status).failed_delivery for parcel in parcel_rows)
            done = resolutions_of(connection, order_id) if failed else {}
        shown = [
            views.parcel_view(parcel, backordered, done.get(parcel.number), for_staff=for_staff)
            for parcel in parcel_rows
        ]
        return views.order_view(row, lines, shown, backordered, money)

    def existing(self, order_ids: Collection[str]) -> set[str]:
        """Those of these ids that are orders."""
        with self._engine.connect() as connection:
            return set(connection.scalars(sa.select(orders.c.id).where(orders.c.id.in_(order_ids))))

    def page(self, customer_id: str, before_number: int | None, limit: int) -> OrderPage:
        """A customer's orders, newest first; `next_cursor` is the number to continue before."""
        query = sa.select(orders).where(orders.c.customer_id == customer_id)
        if before_number is not None:
            query = query.where(orders.c.number < before_number)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(orders.c.number.desc()).limit(limit + 1)).all()
        more = len(rows) > limit
        cursor = str(rows[limit - 1].number) if more else None
        return OrderPage(items=[views.order_summary(row) for row in rows[:limit]], next_cursor=cursor)

    def waiting_of_cart(self, customer_id: str, cart_id: str) -> list[str]:
        """The ids of the customer's orders from this cart, of whatever version, that wait for them."""
        query = sa.select(orders.c.id).where(
            orders.c.customer_id == customer_id, orders.c.cart_id == cart_id, orders.c.status.in_(WAITING_STATUSES)
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(query.order_by(orders.c.number)))

    def quote_of(self, order_id: str) -> PricedOrder | None:
        """What the order costs by its record; None when it is not placed."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(orders).where(orders.c.id == order_id)).one_or_none()
            return views.quote(row, line_rows(connection, order_id)) if row is not None else None

    def history(self, order_id: str, after_seq: int = 0, limit: int = 200) -> OrderHistory:
        """The order's events after `after_seq`, oldest first."""
        query = select_events(lambda events: sa.and_(events.c.order_id == order_id, events.c.seq > after_seq))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by("seq").limit(limit + 1)).all()
        cursor = str(rows[limit - 1].seq) if len(rows) > limit else None
        return OrderHistory(items=[views.order_event(row) for row in rows[:limit]], next_cursor=cursor)

    def _placed(self, order_id: str, asking: bool) -> OrderPlaced | None:
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(orders).where(orders.c.id == order_id)).one_or_none()
            if row is None:
                return None
            quote = views.quote(row, line_rows(connection, order_id))
            parcel_rows = planned_parcels(connection, order_id)
            short = _short(connection, order_id) if asking else []
        return OrderPlaced(
            order_id=order_id,
            number=row.number,
            quote=quote,
            parcels=[views.parcel_plan(parcel) for parcel in parcel_rows],
            reservation_seconds=int(self._reserved_for.total_seconds()),
            short=short,
        )


def _short(connection: sa.Connection, order_id: str) -> list[ShortLine]:
    """What was missing when the order was placed, from its history."""
    reserved = select_events(
        lambda events: sa.and_(events.c.order_id == order_id, events.c.step == RESERVED_STEP), "data"
    )
    return [ShortLine.model_validate(line) for line in (connection.scalar(reserved) or {}).get("short", [])]


def _target(connection: sa.Connection, order: LockedOrder, command: RecordStatus) -> OrderStatus | None:
    """Its parcels may have moved on while it awaited its payment, or was stopped in part."""
    goes_on = order.status is OrderStatus.AWAITING_PAYMENT and command.status in _GOES_ON
    if command.status is None or not (goes_on or command.event_type is EventType.ORDER_PARTLY_CANCELLED):
        return command.status
    rows = connection.execute(sa.select(parcels).where(parcels.c.order_id == command.order_id))
    return status_after_parcels(command.status, of_the_order(parcel_states(rows)))


def _record_adoption(connection: sa.Connection, command: AdoptOrder) -> tuple[OrderStatus, PaymentStatus]:
    order = lock_order(connection, command.order_id)
    if recorded(connection, command.order_id, command.step) is None:
        append(connection, order, Change(command.step, EventType.ORDER_ADOPTED, command.actor, {}))
    return order.status, order.payment_status


def _record_status(connection: sa.Connection, command: RecordStatus, backordered_for: timedelta) -> StatusRecorded:
    order = lock_order(connection, command.order_id)
    event = recorded(connection, command.order_id, command.step)
    if event is None and order.status is OrderStatus.DELIVERED and command.data.get("code") == NOT_DELIVERED:
        event = latest(connection, order)  # what was shipped again has come before the order's end was recorded
    if event is None:
        change = Change(
            command.step,
            command.event_type,
            command.actor,
            command.data,
            status=_target(connection, order, command),
            payment_status=command.payment_status,
            awaiting=command.awaiting.model_dump(mode="json") if command.awaiting else None,
        )
        if command.status in (OrderStatus.FAILED, OrderStatus.CANCELLED):
            release_use(connection, command.order_id)
        if command.event_type is EventType.ORDER_CONFIRMED:
            promise_dispatch(connection, command.order_id, backordered_for)
        event = append(connection, order, change)
    return StatusRecorded(
        event_id=event.event_id, seq=event.seq, status=event.status, payment_status=event.payment_status
    )
