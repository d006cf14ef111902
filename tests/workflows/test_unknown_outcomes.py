"""The provider stores a failure under our key and never says what it did: we look, and it does it once."""

from collections.abc import Callable

import pytest

from adapters.connections import Connections
from adapters.mysql.payments.ledger import Ledger
from adapters.payments import client, provider
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutOutcome
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Journal, MakeFault

# Both are a 500 that every repeat of the key is answered with; only the second has done the work.
STORED_FAILURES = ("500", "error_after")


def amounts(journal: Journal, order_id: str) -> list[tuple[str, int]]:
    return [(entry["effect"], entry["amount"]) for entry in journal(order_id)]


async def check_delivered_and_paid_once(order: Order, journal: Journal) -> None:
    view = await order.delivered()
    total = view.total.amount
    assert view.status is OrderStatus.DELIVERED
    assert view.payment_status is PaymentStatus.CAPTURED
    assert amounts(journal, view.id) == [("authorization", total), ("capture", total)]
    assert order.money()[EntryKind.CAPTURE] == total
    assert order.money()[EntryKind.FEE] == sum(entry["fee"] for entry in journal(view.id)) > 0
    assert (view.payment.held.amount, view.payment.captured.amount, view.payment.refunded.amount) == (0, total, 0)


@pytest.mark.parametrize("kind", STORED_FAILURES)
@pytest.mark.parametrize("operation", ["create", "capture"])
async def test_an_order_whose_payment_has_an_unknown_outcome_is_paid_once(
    kind: str,
    operation: str,
    place: Place,
    make_product: MakeProduct,
    provider_fault: MakeFault,
    provider_journal: Journal,
) -> None:
    fault = provider_fault(kind, operation)
    await check_delivered_and_paid_once(await place({make_product(): 1}), provider_journal)
    assert fault.struck()


@pytest.mark.parametrize(
    ("card", "outcome"),
    [("pm_card_visa", CheckoutOutcome.AUTHORIZED), ("pm_card_chargeDeclined", CheckoutOutcome.DECLINED)],
)
async def test_a_payment_that_was_only_opened_is_continued(
    card: str,
    outcome: CheckoutOutcome,
    place: Place,
    make_product: MakeProduct,
    provider_fault: MakeFault,
    provider_journal: Journal,
) -> None:
    faults = [provider_fault("unconfirmed", "create"), provider_fault("error_after", "confirm")]
    order = await place({make_product(): 1}, payment_method=card)
    assert (await order.first_answer()).outcome is outcome
    if outcome is CheckoutOutcome.AUTHORIZED:
        await check_delivered_and_paid_once(order, provider_journal)
    else:
        assert (await order.handle.result()).reason == "payment_declined"
        assert order.reserved() == 0
    assert all(fault.struck() for fault in faults)


@pytest.mark.parametrize("kind", STORED_FAILURES)
async def test_one_unknown_outcome_after_another(
    kind: str, place: Place, make_product: MakeProduct, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    faults = [provider_fault("500", "create", times=2), provider_fault("500", "capture", times=3)]
    faults += [provider_fault(kind, "capture"), provider_fault("fail_before", "retrieve")]
    await check_delivered_and_paid_once(await place({make_product(): 1}), provider_journal)
    assert all(fault.struck() for fault in faults)


async def test_asking_the_provider_fails_at_first_as_well(
    place: Place, make_product: MakeProduct, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    faults = [provider_fault("error_after", "create"), provider_fault("fail_before", "list", times=3)]
    await check_delivered_and_paid_once(await place({make_product(): 1}), provider_journal)
    assert all(fault.struck() for fault in faults)


async def test_a_long_search_is_continued_by_the_next_activity(
    place: Place,
    make_product: MakeProduct,
    provider_fault: MakeFault,
    provider_journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sku = make_product()
    for _ in range(3):
        await (await place({sku: 1})).first_answer()
    monkeypatch.setattr(provider, "PAGE", 1)
    monkeypatch.setattr(client, "SEARCH_SECONDS", 0.0)  # a page an activity
    fault = provider_fault("500", "create")
    order = await place({sku: 1})
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    assert fault.struck()
    events = (await order.payment.fetch_history()).events
    names = [one.activity_task_scheduled_event_attributes.activity_type.name for one in events]
    assert names.count("authorize_payment") >= 1 + 3 + 1, "sent, three pages that do not know it, sent again"
    await check_delivered_and_paid_once(order, provider_journal)


@pytest.mark.parametrize("kind", STORED_FAILURES)
async def test_a_decline_of_unknown_outcome_is_a_decline(
    kind: str, place: Place, make_product: MakeProduct, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    fault = provider_fault(kind, "create")
    order = await place({make_product(): 1}, payment_method="pm_card_chargeDeclined")
    assert (await order.first_answer()).outcome is CheckoutOutcome.DECLINED
    await order.handle.result()
    assert fault.struck()
    assert amounts(provider_journal, order.id) == []
    assert order.reserved() == 0


@pytest.mark.parametrize("kind", STORED_FAILURES)
async def test_a_void_of_unknown_outcome_is_made_once(
    kind: str,
    place: Place,
    make_product: MakeProduct,
    provider_fault: MakeFault,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    fault = provider_fault(kind, "cancel")
    order = await place({make_product(): 1}, postal_code="00000")  # where the carrier does not go
    await order.handle.result()
    assert fault.struck()
    view = order.view()
    total = view.total.amount
    assert (view.status, view.payment_status) == (OrderStatus.FAILED, PaymentStatus.VOIDED)
    assert amounts(provider_journal, view.id) == [("authorization", total), ("void", total)]
    assert set(Ledger(connections.engine).balances(view.id).values()) == {0}


@pytest.mark.parametrize("kind", STORED_FAILURES)
async def test_a_payment_that_waits_for_the_bank_is_cancelled_once(
    kind: str,
    place: Place,
    make_product: MakeProduct,
    provider_fault: MakeFault,
    provider_journal: Journal,
    payments_at_provider: Callable[[str], list[str]],
) -> None:
    fault = provider_fault(kind, "cancel")
    secure: dict[str, object] = {"payment_method": "pm_card_threeDSecure2Required", "authentication_seconds": 1}
    order = await place({make_product(): 1}, **secure)
    assert (await order.first_answer()).outcome is CheckoutOutcome.ACTION_REQUIRED
    await order.handle.result()
    assert fault.struck()
    view = order.view()
    assert (view.status, view.payment.held.amount, order.reserved()) == (OrderStatus.FAILED, 0, 0)
    assert amounts(provider_journal, view.id) == []
    assert payments_at_provider(view.id) == ["canceled"]
