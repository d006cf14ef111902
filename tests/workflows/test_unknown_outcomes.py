"""The provider keeps a failure under our key and so will never say what it did: it is asked, and does it once."""

from collections.abc import Callable
from typing import Any

import pytest

from adapters.connections import Connections
from adapters.mysql.payments.ledger import Ledger
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutOutcome

Journal = Callable[[str], list[dict[str, Any]]]
# Both are a 500 that every repeat of the key is answered with; only the second has done what was asked.
KEPT_FAILURES = ("500", "error_after")


def effects(journal: Journal, order_id: str) -> list[tuple[str, int]]:
    return [(entry["effect"], entry["amount"]) for entry in journal(order_id)]


async def check_delivered_and_paid_once(order: Any, journal: Journal) -> None:
    view = await order.delivered()
    total = view.total.amount
    assert view.status is OrderStatus.DELIVERED
    assert view.payment_status is PaymentStatus.CAPTURED
    assert effects(journal, view.id) == [("authorization", total), ("capture", total)]
    assert order.money()[EntryKind.CAPTURE] == total
    assert order.money()[EntryKind.FEE] == sum(entry["fee"] for entry in journal(view.id)) > 0
    assert (view.payment.held.amount, view.payment.captured.amount, view.payment.refunded.amount) == (0, total, 0)


@pytest.mark.parametrize("kind", KEPT_FAILURES)
@pytest.mark.parametrize("operation", ["create", "capture"])
async def test_an_order_in_doubt_is_paid_once(
    kind: str, operation: str, place: Any, make_product: Any, provider_fault: Any, provider_journal: Journal
) -> None:
    struck = provider_fault(kind, operation)
    await check_delivered_and_paid_once(await place({make_product(): 1}), provider_journal)
    assert struck()


@pytest.mark.parametrize(
    ("card", "outcome"),
    [("pm_card_visa", CheckoutOutcome.AUTHORIZED), ("pm_card_chargeDeclined", CheckoutOutcome.DECLINED)],
)
async def test_a_payment_that_was_opened_and_no_more_is_gone_on_with(
    card: str, outcome: CheckoutOutcome, place: Any, make_product: Any, provider_fault: Any, provider_journal: Journal
) -> None:
    struck = [provider_fault("unconfirmed", "create"), provider_fault("error_after", "confirm")]
    order = await place({make_product(): 1}, payment_method=card)
    assert (await order.first_answer()).outcome is outcome
    if outcome is CheckoutOutcome.AUTHORIZED:
        await check_delivered_and_paid_once(order, provider_journal)
    else:
        assert (await order.handle.result()).reason == "payment_declined"
        assert order.reserved() == 0
    assert all(one() for one in struck)


@pytest.mark.parametrize("kind", KEPT_FAILURES)
async def test_doubt_upon_doubt(
    kind: str, place: Any, make_product: Any, provider_fault: Any, provider_journal: Journal
) -> None:
    faults = [provider_fault("500", "create", times=2), provider_fault("500", "capture", times=3)]
    faults += [provider_fault(kind, "capture"), provider_fault("fail_before", "retrieve")]
    await check_delivered_and_paid_once(await place({make_product(): 1}), provider_journal)
    assert all(struck() for struck in faults)


async def test_the_question_itself_gets_no_answer_at_first(
    place: Any, make_product: Any, provider_fault: Any, provider_journal: Journal
) -> None:
    faults = [provider_fault("error_after", "create"), provider_fault("fail_before", "list", times=3)]
    await check_delivered_and_paid_once(await place({make_product(): 1}), provider_journal)
    assert all(struck() for struck in faults)


@pytest.mark.parametrize("kind", KEPT_FAILURES)
async def test_a_decline_in_doubt_is_a_decline(
    kind: str, place: Any, make_product: Any, provider_fault: Any, provider_journal: Journal
) -> None:
    struck = provider_fault(kind, "create")
    order = await place({make_product(): 1}, payment_method="pm_card_chargeDeclined")
    assert (await order.first_answer()).outcome is CheckoutOutcome.DECLINED
    await order.handle.result()
    assert struck()
    assert effects(provider_journal, order.input.order_id) == []
    assert order.reserved() == 0


@pytest.mark.parametrize("kind", KEPT_FAILURES)
async def test_a_hold_in_doubt_is_given_back_once(
    kind: str,
    place: Any,
    make_product: Any,
    provider_fault: Any,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    struck = provider_fault(kind, "cancel")
    order = await place({make_product(): 1}, postal_code="00000")  # where the carrier does not go
    await order.handle.result()
    assert struck()
    view = order.view()
    total = view.total.amount
    assert (view.status, view.payment_status) == (OrderStatus.FAILED, PaymentStatus.VOIDED)
    assert effects(provider_journal, view.id) == [("authorization", total), ("void", total)]
    assert set(Ledger(connections.engine).balances(view.id).values()) == {0}


@pytest.mark.parametrize("kind", KEPT_FAILURES)
async def test_waiting_for_the_bank_is_ended_once(
    kind: str, place: Any, make_product: Any, provider_fault: Any, provider_journal: Journal, payments_at_provider: Any
) -> None:
    struck = provider_fault(kind, "cancel")
    secure = {"payment_method": "pm_card_threeDSecure2Required", "authentication_seconds": 1}
    order = await place({make_product(): 1}, **secure)
    assert (await order.first_answer()).outcome is CheckoutOutcome.ACTION_REQUIRED
    await order.handle.result()
    assert struck()
    view = order.view()
    assert (view.status, view.payment.held.amount, order.reserved()) == (OrderStatus.FAILED, 0, 0)
    assert effects(provider_journal, view.id) == []
    assert payments_at_provider(view.id) == ["canceled"]
