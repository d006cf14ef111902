"""The mail for each event, as it is written and as it arrives."""

import re
import socketserver
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import httpx2
import pytest
import uuid_utils

from adapters.mail.mailer import Mailer
from adapters.mail.order_texts import write
from adapters.settings import Settings
from dev.testbed import Testbed
from domain.fulfilment import ParcelStatus
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from domain.outside_errors import Misuse, Unavailable
from schemas.base import Address, Money
from schemas.notifications import NotificationInput
from schemas.orders import OrderLineView, OrderView, PaymentBalance, PaymentPart
from schemas.parcels import ParcelLine, ParcelView
from tests.fixture_types import Json

EVENT_TYPES = [
    *(
        f"order.{what}"
        for what in ("placed", "stock_reserved", "confirmed", "stock_released", "failed", "cancelling", "cancelled")
    ),
    *(f"payment.{what}" for what in ("authorized", "declined", "captured", "voided", "refund_failed")),
    *(f"parcel.{what}" for what in ("booked", "refused", "dispatched", "in_transit", "out_for_delivery")),
    *(f"parcel.{what}" for what in ("exception", "delivered", "cancelled", "picked")),
    *("order.awaiting_customer", "order.decision_reminder", "order.decided"),
    *("order.awaiting_payment", "order.payment_reminder", "order.compensation_blocked"),
]


def euros(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def make_order(
    email: str = "zoe@shop.example", name: str = "Zoë Müller", product: str = "Lamp", parcels: int = 2
) -> OrderView:
    moment = datetime(2026, 11, 23, 12, tzinfo=UTC)
    line = OrderLineView(
        sku="A-1",
        name=product,
        quantity=2,
        unit_price=euros(150000),
        discount=euros(0),
        tax=euros(57000),
        subtotal=euros(300000),
    )
    return OrderView(
        id=str(uuid_utils.uuid7()),
        number=1001,
        status=OrderStatus.SHIPPED,
        payment_status=PaymentStatus.CAPTURED,
        fulfilment_status=FulfilmentStatus.SHIPPED,
        total=euros(357490),
        created_at=moment,
        updated_at=moment,
        customer_id="customer-1",
        email=email,
        subtotal=euros(300000),
        discount=euros(0),
        tax_included=False,
        payment=PaymentBalance(
            held=euros(0),
            captured=euros(357490),
            refunded=euros(0),
            disputed=euros(0),
            card=PaymentPart(held=euros(0), captured=euros(357490), refunded=euros(0)),
            store_credit=PaymentPart(held=euros(0), captured=euros(0), refunded=euros(0)),
        ),
        shipping=euros(490),
        tax=euros(57000),
        lines=[line],
        parcels=[
            ParcelView(
                number=number,
                warehouse="BER",
                status=ParcelStatus.DISPATCHED,
                lines=[ParcelLine(sku="A-1", quantity=1)],
            )
            for number in range(1, parcels + 1)
        ],
        shipping_address=Address(name=name, line1="Hauptstraße 1", city="Köln", postal_code="50667", country="DE"),
        shipping_method="standard",
        last_seq=7,
    )


def make_event(order: OrderView, kind: str = "parcel.dispatched", **data: object) -> NotificationInput:
    return NotificationInput(event_id=str(uuid_utils.uuid7()), order_id=order.id, seq=7, type=kind, data=data)


Caught = Callable[[str], tuple[Json, dict[str, list[str]]]]


@pytest.fixture
def caught(bed: Testbed) -> Caught:
    """The one mail to an address, and its headers, as the mail catcher has them."""

    def find(address: str) -> tuple[Json, dict[str, list[str]]]:
        api = f"{bed.url('MAIL_UI_PORT')}/api/v1"
        (listed,) = httpx2.get(f"{api}/search", params={"query": f"to:{address}"}).json()["messages"]
        mail = f"{api}/message/{listed['ID']}"
        return httpx2.get(mail).json(), httpx2.get(f"{mail}/headers").json()

    return find


def test_every_event_has_a_subject_and_a_sentence_of_its_own() -> None:
    order = make_order()
    short = [{"sku": "A-1", "wanted": 2, "available": 1}]
    texts = [write(order, make_event(order, kind, short=short)) for kind in EVENT_TYPES]
    assert len({text.subject for text in texts}) == len({text.text for text in texts}) == len(EVENT_TYPES)
    assert all(re.fullmatch(r"Order 1001: [a-z].*[a-z]", text.subject) for text in texts)
    assert write(order, make_event(order)).subject == "Order 1001: your parcel is on its way"


def test_an_event_without_words_of_its_own_has_a_general_mail() -> None:
    order = make_order()
    text = write(order, make_event(order, "loyalty.points_added"))
    assert text.subject == "Order 1001: an update on your order"
    assert "loyalty" not in text.text


def test_what_is_shipped_again_has_words_of_its_own() -> None:
    order = make_order()
    again = write(order, make_event(order, "parcel.resolved", parcel=1, action="ship_again", replacement=2))
    refunded = write(order, make_event(order, "parcel.resolved", parcel=1, action="refund"))
    assert "you are not charged for that" in again.text
    assert again.subject != refunded.subject
    parcels = [order.parcels[0], order.parcels[1].model_copy(update={"replaces": 1})]
    replaced = order.model_copy(update={"parcels": parcels})
    late = write(replaced, make_event(replaced, "parcel.late", parcel=2))
    assert "you can cancel it" not in late.text
    assert "you can cancel it" in write(replaced, make_event(replaced, "parcel.late", parcel=1)).text


def test_the_mail_has_details_of_the_event_and_sums_of_the_order() -> None:
    order = make_order()
    text = write(order, make_event(order, parcel=1, tracking_number="SIM42", location="Leipzig")).text
    for words in (
        "Parcel: 1 of 2",
        "Tracking number: SIM42",
        "Location: Leipzig",
        "2 x Lamp: €3,000.00",
        "Total: €3,574.90",
    ):
        assert words in text
    captured = write(order, make_event(order, "payment.captured", amount={"amount": 123456, "currency": "EUR"})).text
    assert "Amount: €1,234.56" in captured


def test_the_mail_has_the_discount_and_until_when_to_pay() -> None:
    order = make_order().model_copy(update={"discount": euros(1000), "voucher_code": "SPRING-26"})
    reminder = write(order, make_event(order, "order.payment_reminder", retry_until="2026-11-23T12:30:00Z"))
    assert "Discount (SPRING-26): -€10.00" in reminder.text
    assert "Please pay by: 23 Nov 2026, 12:30:00" in reminder.text
    expired = write(order, make_event(order, "order.failed", code="payment_expired"))
    assert expired.subject == "Order 1001: your order was not paid in time"


def test_what_customers_and_sellers_typed_is_escaped_in_html_only() -> None:
    order = make_order(name="<script>alert(1)</script>", product='"Lamp" & <b>more</b>')
    text = write(order, make_event(order))
    assert "<script>" not in text.html
    assert "<b>" not in text.html
    assert "&lt;b&gt;more&lt;/b&gt;" in text.html
    assert '"Lamp" & <b>more</b>' in text.text


def test_message_id_follows_from_the_event(settings: Settings) -> None:
    mailer, order = Mailer(settings), make_order()
    event = make_event(order)
    assert mailer.compose(order, event)["Message-ID"] == mailer.compose(order, event)["Message-ID"]
    assert mailer.compose(order, event)["Message-ID"] != mailer.compose(order, make_event(order))["Message-ID"]


def test_mail_arrives_with_its_headers_and_both_bodies(settings: Settings, caught: Caught) -> None:
    mailer, order = Mailer(settings), make_order(email=f"{uuid_utils.uuid7().hex}@shop.example")
    event = make_event(order)
    mailer.send(mailer.compose(order, event))
    mail, headers = caught(order.email)
    assert mail["Subject"] == "Order 1001: your parcel is on its way"
    assert mail["To"] == [{"Name": "Zoë Müller", "Address": order.email}]
    assert mail["MessageID"] == f"{event.event_id}@shop.example"
    assert "Hello Zoë Müller" in mail["Text"]
    assert "<strong>Your parcel has left our warehouse.</strong>" in mail["HTML"]
    assert headers["X-Order-Id"] == [order.id]
    assert headers["X-Order-Event-Seq"] == ["7"]
    assert headers["X-Event-Id"] == [event.event_id]


def test_odd_names_and_addresses_make_a_mail(settings: Settings) -> None:
    mailer = Mailer(settings)
    for name, email in (
        ('"Bobby" O\'Neil, Jr.', "o'neil+tag@shop.example"),
        ("王小明", "wang@shop.example"),
        ("x" * 200, "x@shop.example"),
    ):
        order = make_order(email=email, name=name)
        mailer.send(mailer.compose(order, make_event(order)))


def test_mail_server_that_is_not_there_is_an_outage(settings: Settings) -> None:
    mailer, order = Mailer(settings.model_copy(update={"smtp_port": 1})), make_order()
    with pytest.raises(Unavailable):
        mailer.send(mailer.compose(order, make_event(order)))


@pytest.mark.parametrize("address", ["zoe at shop", "zoe@", "@shop.example", "zoe@shop.example, eve@shop.example"])
def test_an_address_that_is_none_is_refused_for_good(settings: Settings, address: str) -> None:
    mailer, order = Mailer(settings), make_order(email=address)
    with pytest.raises(Misuse):
        mailer.send(mailer.compose(order, make_event(order)))


@pytest.mark.parametrize(("code", "refused"), [(554, Misuse), (451, Unavailable)])
def test_a_mail_that_is_refused_is_sent_again_only_when_that_may_help(
    settings: Settings, code: int, refused: type[Exception]
) -> None:
    """A mail server that takes everything but the mail itself."""
    replies = {
        b"EHLO": b"250 here",
        b"MAIL": b"250 yes",
        b"RCPT": b"250 yes",
        b"DATA": b"354 go on",
        b"RSET": b"250 yes",
        b"QUIT": b"221 bye",
        b".": b"%d no" % code,
    }

    class Refusing(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            for line in self.rfile:
                if reply := replies.get(b"." if line == b".\r\n" else line[:4].upper()):
                    self.wfile.write(reply + b"\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mailer = Mailer(settings.model_copy(update={"smtp_port": server.server_address[1], "smtp_host": "127.0.0.1"}))
        order = make_order()
        with pytest.raises(refused):
            mailer.send(mailer.compose(order, make_event(order)))
        server.shutdown()
