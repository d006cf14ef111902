"""A disputed payment: nothing leaves while it is undecided, and the ledger has what the provider did."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import httpx2
import pytest
import uuid_utils
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError

from adapters.connections import Connections
from adapters.mysql.payments.disputes import Disputes
from adapters.mysql.payments.ledger import Ledger
from adapters.payments.disputes import DisputeProvider
from dev.testbed import Testbed
from domain.disputes import DisputeStatus
from domain.fulfilment import ParcelStatus
from domain.ledger import Account, EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.disputes import DisputeAction, DisputeEnded, DisputeView, OperatorDecision, RecordDispute, RetrieveDispute
from schemas.parcel_resolutions import ResolutionAction
from schemas.provider_events import ProviderEvent
from schemas.refunds import RefundStatus
from temporal_clients.payments import DisputeClient
from tests.conftest import eventually
from tests.fixture_types import MakeProduct
from tests.workflows.failed_deliveries import only_parcel_comes_to, resolve_by
from tests.workflows.orders import Order, Place, refusal
from tests.workflows.provider import Journal, MakeFault, effects
from tests.workflows.refunds import made, refund, refused
from tests.workflows.time_skipping import skip, time_skipping
from tests.workflows.waiting import current_details, until
from workflows.names import dispute_workflow_id
from workflows.payments.disputes import DisputeWorkflow

DECISION = OperatorDecision(actor="staff:1:support", reason="looked at it")


@dataclass
class Bank:
    """The customer's bank at the simulator, whose webhooks we pass on as the API does."""

    provider: str
    carrier: str
    client: Client
    connections: Connections

    async def dispute(self, order: Order, **how: object) -> str:
        """The customer disputes what they have paid."""
        intent = Ledger(self.connections.engine).entries(order.id)[0].provider_id
        name = self.control("", payment_intent=intent, **how)
        await self.send_event(name)
        return name

    async def decide(self, name: str, outcome: str, **how: object) -> None:
        self.control(f"/{name}/decide", outcome=outcome, **how)
        await self.send_event(name)

    async def send_event(self, name: str, event_type: str = "updated", event_id: str | None = None) -> None:
        """One webhook; what it says is wrong, because only the provider's answer counts."""
        event = ProviderEvent(
            event_id=event_id or f"evt_{uuid_utils.uuid7().hex}",
            type=f"charge.dispute.{event_type}",
            provider_id=name,
            amount=1,
        )
        await DisputeClient(self.client, 20).follow(name, event, reminder_hours=48)

    def handle(self, name: str) -> WorkflowHandle[DisputeWorkflow, DisputeEnded]:
        return self.client.get_workflow_handle(dispute_workflow_id(name), result_type=DisputeEnded)

    async def until(self, name: str, *statuses: DisputeStatus) -> DisputeView:
        kept = Disputes(self.connections.engine)
        found = await eventually(lambda: kept.get(name), lambda view: view is not None and view.status in statuses)
        assert found is not None
        return found

    def submissions(self, name: str) -> int:
        """How often the provider has been sent evidence."""
        key = self.connections.settings.stripe_api_key.get_secret_value()
        address, headers = f"{self.provider}/v1/disputes/{name}", {"Authorization": f"Bearer {key}"}
        found = httpx2.get(address, headers=headers).raise_for_status().json()
        return int(found["evidence_details"]["submission_count"])

    def shipments(self, order: Order, parcel: int = 1) -> list[str]:
        """What the carrier has of a parcel, oldest first."""
        params = {"reference": f"{order.id}-{parcel}"}
        found = httpx2.get(f"{self.carrier}/_ledger", params=params).json()["data"]
        return [one["status"] for one in reversed(found)]

    def control(self, path: str, **body: object) -> str:
        answer = httpx2.post(f"{self.provider}/_control/disputes{path}", json=body).raise_for_status()
        return str(answer.json()["id"])


@pytest.fixture
def bank(bed: Testbed, skipping: Client, connections: Connections) -> Bank:
    return Bank(bed.url("PAYMENT_SIMULATOR_PORT"), bed.url("CARRIER_SIMULATOR_PORT"), skipping, connections)


# The ledger sums to zero and has what the provider's journal has, fees included; answers the balances.
CheckLedger: TypeAlias = Callable[[Order], dict[Account, int]]


@pytest.fixture
def check_ledger(connections: Connections, provider_journal: Journal) -> CheckLedger:

    def check(order: Order) -> dict[Account, int]:
        order_id = order.id
        theirs: Counter[tuple[str, int]] = Counter()
        for row in provider_journal(order_id):
            of_dispute = row["effect"].startswith("dispute")
            theirs[row["effect"], row["amount"]] += 1
            if row["fee"] > 0:
                theirs["dispute_fee" if of_dispute else "fee", row["fee"]] += 1
            elif row["fee"]:
                theirs["dispute_fee_reversal", -row["fee"]] += 1
        entries = Ledger(connections.engine).entries(order_id)
        assert Counter((entry.kind.value, entry.amount) for entry in entries) == theirs
        balances = Ledger(connections.engine).balances(order_id)
        assert sum(balances.values()) == 0
        return balances

    return check


async def until_parcel(order: Order, status: ParcelStatus, number: int = 1) -> None:
    await eventually(lambda: order.view().parcels[number - 1].status, lambda seen: seen is status)


async def on_hold(place: Place, make_product: MakeProduct, bank: Bank) -> tuple[Order, str]:
    """An order whose booked parcel is put on hold because the bank asks about its payment."""
    order = await place({make_product(): 1})
    await order.first_answer()
    await until_parcel(order, ParcelStatus.BOOKED)
    name = await bank.dispute(order, inquiry=True)
    await until_parcel(order, ParcelStatus.ON_HOLD)
    await order.until(OrderStatus.ON_HOLD)
    assert order.view().payment_status is PaymentStatus.DISPUTED
    assert bank.shipments(order) == ["cancelled"]
    return order, name


async def test_won_before_anything_has_left(
    place: Place, make_product: MakeProduct, bank: Bank, check_ledger: CheckLedger, skipping: Client
) -> None:
    order, name = await on_hold(place, make_product, bank)
    await skip(skipping, timedelta(days=3))
    assert bank.shipments(order) == ["cancelled"], "nothing is booked while it is undecided"
    await bank.decide(name, "won")
    await until_parcel(order, ParcelStatus.BOOKED)
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert bank.shipments(order)[0] == "cancelled"
    assert len(bank.shipments(order)) == 2
    recorded = order.event_types()
    for event in ("payment.disputed", "order.on_hold", "parcel.on_hold", "order.released", "payment.dispute_closed"):
        assert recorded.count(event) == 1, event
    balances = check_ledger(order)
    total = view.total.amount
    assert balances[Account.PROVIDER] == total - balances[Account.FEES]
    assert (await bank.handle(name).result()).status is DisputeStatus.WARNING_CLOSED


async def test_lost_before_anything_has_left(
    place: Place, make_product: MakeProduct, bank: Bank, check_ledger: CheckLedger
) -> None:
    order, name = await on_hold(place, make_product, bank)
    await bank.decide(name, "lost")
    await order.handle.result()
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.CANCELLED, PaymentStatus.VOIDED)
    assert (view.payment.captured.amount, view.payment.held.amount, order.reserved()) == (0, 0, 0)
    assert bank.shipments(order) == ["cancelled"]
    assert order.events()[-1].data["reason"] == "the payment was charged back"
    assert set(check_ledger(order).values()) == {0}


async def test_disputed_before_it_is_booked(place: Place, make_product: MakeProduct, bank: Bank, bed: Testbed) -> None:
    """The carrier is away while the order is confirmed; when it is back, nothing may be booked."""
    carrier = bed.url("CARRIER_SIMULATOR_PORT")
    fault = {"kind": "fail_before", "match": {"operation": "book"}, "times": 2}
    armed = httpx2.post(f"{carrier}/_control/faults", json=fault).raise_for_status().json()["id"]
    order = await place({make_product(): 1})
    await order.first_answer()
    await bank.dispute(order, inquiry=True)
    await until_parcel(order, ParcelStatus.ON_HOLD)
    known = httpx2.get(f"{carrier}/_control/faults").json()
    assert next(one["hits"] for one in known if one["id"] == armed) == 2
    assert "booked" not in bank.shipments(order)
    await order.until(OrderStatus.ON_HOLD)


async def test_released_by_an_operator(
    place: Place, make_product: MakeProduct, bank: Bank, check_ledger: CheckLedger
) -> None:
    order, name = await on_hold(place, make_product, bank)
    released = await bank.handle(name).execute_update(DisputeWorkflow.release, DECISION)
    assert (released.open, released.frozen, released.actions[-1].action) == (True, False, DisputeAction.RELEASED)
    with pytest.raises(WorkflowUpdateFailedError) as again:
        await bank.handle(name).execute_update(DisputeWorkflow.release, DECISION)
    assert refusal(again.value) == "not_on_hold"
    await until_parcel(order, ParcelStatus.BOOKED)
    assert order.view().status is OrderStatus.PROCESSING
    await order.carrier_event(ParcelStatus.DISPATCHED)
    await order.carrier_event(ParcelStatus.DELIVERED)
    await order.until(OrderStatus.DELIVERED)
    assert order.view().payment_status is PaymentStatus.DISPUTED
    await bank.decide(name, "won")
    await bank.until(name, DisputeStatus.WARNING_CLOSED)
    assert order.view().payment_status is PaymentStatus.CAPTURED
    check_ledger(order)


async def partly_dispatched(place: Place, make_product: MakeProduct, bank: Bank) -> tuple[Order, str, int]:
    """An order of two parcels: the first one's capture is charged back while the second waits for the carrier."""
    order = await place({make_product({"BER": 5}): 1, make_product({"AMS": 5}): 1})
    await order.first_answer()
    await until_parcel(order, ParcelStatus.BOOKED, 2)
    await order.carrier_event(ParcelStatus.DISPATCHED, 1)
    captured = (await eventually(order.view, lambda view: view.payment.captured.amount > 0)).payment.captured.amount
    name = await bank.dispute(order)
    await until_parcel(order, ParcelStatus.ON_HOLD, 2)
    assert bank.shipments(order, 2) == ["cancelled"]
    view = order.view()
    assert (view.payment_status, view.payment.disputed.amount) == (PaymentStatus.DISPUTED, captured)
    assert view.status is OrderStatus.PROCESSING, "a part has left already"
    return order, name, captured


async def test_a_part_has_left_and_it_is_won(
    place: Place, make_product: MakeProduct, bank: Bank, check_ledger: CheckLedger
) -> None:
    order, name, _ = await partly_dispatched(place, make_product, bank)
    await bank.decide(name, "won", fee_returned=True)
    await until_parcel(order, ParcelStatus.BOOKED, 2)
    await order.carrier_event(ParcelStatus.DELIVERED, 1)
    await order.carrier_event(ParcelStatus.DISPATCHED, 2)
    await order.carrier_event(ParcelStatus.DELIVERED, 2)
    await order.handle.result()
    assert order.view().payment_status is PaymentStatus.CAPTURED
    balances = check_ledger(order)
    assert balances[Account.DISPUTED] == balances[Account.HELD] == 0
    assert balances[Account.FEES] == order.money()[EntryKind.FEE]


async def test_a_part_has_left_and_it_is_lost(
    place: Place, make_product: MakeProduct, bank: Bank, check_ledger: CheckLedger
) -> None:
    order, name, captured = await partly_dispatched(place, make_product, bank)
    await bank.decide(name, "lost")
    await until(lambda: order.view().parcels[1].status is ParcelStatus.CANCELLED)
    await order.carrier_event(ParcelStatus.DELIVERED, 1)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    view = order.view()
    assert view.parcels[1].status is ParcelStatus.CANCELLED
    assert (view.payment.captured.amount, view.payment.held.amount, order.reserved()) == (captured, 0, 0)
    assert view.payment_status is PaymentStatus.REFUNDED, "the customer has it back"
    assert check_ledger(order)[Account.DISPUTED] == captured


async def test_an_answer_from_before_it_was_closed_does_not_open_it_again(
    place: Place, make_product: MakeProduct, bank: Bank, connections: Connections
) -> None:
    order = await place({make_product(): 1})
    await order.delivered()
    name = await bank.dispute(order)
    await bank.until(name, DisputeStatus.NEEDS_RESPONSE)
    before = DisputeProvider(connections.settings).retrieve(RetrieveDispute(dispute_id=name))
    await bank.decide(name, "lost")
    await bank.handle(name).result()
    kept = Disputes(connections.engine)
    late = kept.record(RecordDispute(order_id=order.id, standing=before))
    assert (late.dispute.status, late.payment_status) == (DisputeStatus.LOST, PaymentStatus.REFUNDED)
    assert order.view().payment_status is PaymentStatus.REFUNDED
    again = before.model_copy(update={"asked_at": datetime.now(UTC)})
    reopened = kept.record(RecordDispute(order_id=order.id, standing=again))
    assert (reopened.dispute.open, reopened.payment_status) == (True, PaymentStatus.DISPUTED)


@pytest.mark.parametrize("outcome", ["won", "lost"])
async def test_after_delivery_with_webhooks_twice_and_in_disorder(
    outcome: str, place: Place, make_product: MakeProduct, bank: Bank, check_ledger: CheckLedger
) -> None:
    order = await place({make_product(): 1})
    delivered = await order.delivered()
    total = delivered.total.amount
    name = await bank.dispute(order)
    before = await bank.until(name, DisputeStatus.NEEDS_RESPONSE)
    assert before.frozen
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.DISPUTED)
    late = f"evt_{uuid_utils.uuid7().hex}"
    for _ in range(2):
        await bank.send_event(name, "funds_withdrawn", late)
    bank.control(f"/{name}/decide", outcome=outcome)
    for kind in ("closed", "created", "closed", "funds_reinstated", "updated"):
        await bank.send_event(name, kind)
    await bank.until(name, DisputeStatus(outcome))
    await bank.handle(name).result()
    for kind in ("created", "funds_withdrawn"):
        await bank.send_event(name, kind)
        ended = await bank.handle(name).result()
        assert ended.status is DisputeStatus(outcome)
    recorded = order.event_types()
    assert (recorded.count("payment.disputed"), recorded.count("payment.dispute_closed")) == (1, 1)
    balances = check_ledger(order)
    lost = total if outcome == "lost" else 0
    assert balances[Account.DISPUTED] == lost
    assert balances[Account.PROVIDER] == total - lost - balances[Account.FEES]
    after = order.view()
    assert after.payment_status is (PaymentStatus.REFUNDED if lost else PaymentStatus.CAPTURED)
    assert after.payment.disputed.amount == lost


async def test_no_refund_while_it_is_disputed(
    place: Place, make_product: MakeProduct, bank: Bank, skipping: Client, check_ledger: CheckLedger
) -> None:
    order = await place({make_product(): 1})
    total = (await order.delivered()).total.amount
    assert made(await refund(skipping, order.id, 100)).status is RefundStatus.SUCCEEDED
    name = await bank.dispute(order)
    opened = await bank.until(name, DisputeStatus.NEEDS_RESPONSE)
    assert opened.amount.amount == total - 100, "the bank takes back what is left"
    answer = await refund(skipping, order.id, 100)
    assert (answer.refund, answer.code) == (None, "payment_disputed")
    await bank.decide(name, "won")
    await bank.until(name, DisputeStatus.WON)
    assert made(await refund(skipping, order.id)).amount.amount == total - 100
    assert order.view().payment_status is PaymentStatus.REFUNDED
    check_ledger(order)


@pytest.mark.parametrize(("outcome", "code"), [("won", None), ("lost", "parcel_refunded")])
async def test_nothing_is_shipped_again_while_it_is_disputed(
    outcome: str, code: str | None, booked: Order, bank: Bank, skipping: Client
) -> None:
    ship_again = resolve_by(skipping, ResolutionAction.SHIP_AGAIN)
    await only_parcel_comes_to(booked, ParcelStatus.LOST)
    name = await bank.dispute(booked)
    await bank.until(name, DisputeStatus.NEEDS_RESPONSE)
    assert (await ship_again(booked, 1)).code == "payment_disputed"
    await bank.decide(name, outcome)
    await bank.until(name, DisputeStatus(outcome))
    assert (await ship_again(booked, 1)).code == code
    assert len(booked.view().parcels) == (1 if code else 2)


async def test_a_refund_that_raced_a_dispute_is_refused_by_the_provider(
    place: Place, make_product: MakeProduct, bank: Bank, skipping: Client, check_ledger: CheckLedger
) -> None:
    """The dispute is there, but its webhook has yet to come: only the provider knows of it."""
    order = await place({make_product(): 1})
    await order.delivered()
    intent = Ledger(bank.connections.engine).entries(order.id)[0].provider_id
    name = bank.control("", payment_intent=intent)
    failed = made(await refund(skipping, order.id, 100))
    assert (failed.status, failed.failure_code) == (RefundStatus.FAILED, "charge_disputed")
    await bank.send_event(name, "created")
    await bank.until(name, DisputeStatus.NEEDS_RESPONSE)
    await bank.decide(name, "lost")
    await bank.until(name, DisputeStatus.LOST)
    assert refused(await refund(skipping, order.id)) == ("refund_exceeds_captured", 0)
    check_ledger(order)


async def test_operators_submit_evidence_and_accept(
    place: Place, make_product: MakeProduct, bank: Bank, provider_fault: MakeFault, check_ledger: CheckLedger
) -> None:
    order = await place({make_product(): 1})
    await order.delivered()
    name = await bank.dispute(order)
    await bank.until(name, DisputeStatus.NEEDS_RESPONSE)
    faults = [provider_fault("error_after", "update_dispute"), provider_fault("timeout_after", "close_dispute")]
    evidence = DECISION.model_copy(update={"text": "signed for by A. Lovelace"})
    answered = await bank.handle(name).execute_update(DisputeWorkflow.submit_evidence, evidence)
    assert answered.status is DisputeStatus.UNDER_REVIEW
    accepted = await bank.handle(name).execute_update(DisputeWorkflow.accept, DECISION)
    assert (accepted.status, accepted.open) == (DisputeStatus.LOST, False)
    assert all(fault.struck() for fault in faults)
    done = [(one.action, one.actor, one.reason, one.text) for one in accepted.actions]
    assert done == [
        (DisputeAction.EVIDENCE, DECISION.actor, DECISION.reason, "signed for by A. Lovelace"),
        (DisputeAction.ACCEPTED, DECISION.actor, DECISION.reason, None),
    ]
    await bank.handle(name).result()
    check_ledger(order)


@pytest.mark.parametrize("kind", ["500", "error_after"])
async def test_evidence_and_acceptance_of_unknown_outcome_are_sent_once(
    kind: str,
    place: Place,
    make_product: MakeProduct,
    bank: Bank,
    provider_fault: MakeFault,
    provider_journal: Journal,
    check_ledger: CheckLedger,
) -> None:
    """The provider stores a failure under the key, whether it has done it or not."""
    order = await place({make_product(): 1})
    await order.delivered()
    name = await bank.dispute(order)
    await bank.until(name, DisputeStatus.NEEDS_RESPONSE)
    faults = [provider_fault(kind, "update_dispute"), provider_fault(kind, "close_dispute")]
    evidence = DECISION.model_copy(update={"text": "signed for by A. Lovelace"})
    await bank.handle(name).execute_update(DisputeWorkflow.submit_evidence, evidence)
    assert bank.submissions(name) == 1
    accepted = await bank.handle(name).execute_update(DisputeWorkflow.accept, DECISION)
    assert all(fault.struck() for fault in faults)
    assert (accepted.status, bank.submissions(name)) == (DisputeStatus.LOST, 1)
    assert effects(provider_journal, order.id).count("dispute") == 1
    await bank.handle(name).result()
    check_ledger(order)


async def test_evidence_is_requested_before_it_is_due(
    bed: Testbed, connections: Connections, place: Place, make_product: MakeProduct
) -> None:
    order = await place({make_product(): 1})
    await order.delivered()
    async with time_skipping(connections) as client:
        bank = Bank(bed.url("PAYMENT_SIMULATOR_PORT"), bed.url("CARRIER_SIMULATOR_PORT"), client, connections)
        name = await bank.dispute(order, due_seconds=3 * 86400)
        opened = await bank.until(name, DisputeStatus.NEEDS_RESPONSE)
        assert opened.actions == []
        await skip(client, timedelta(hours=20))
        assert (await bank.until(name, DisputeStatus.NEEDS_RESPONSE)).actions == []
        await skip(client, timedelta(hours=6))
        kept = Disputes(connections.engine)
        reminded = await eventually(lambda: kept.get(name), lambda view: bool(view and view.actions))
        assert reminded is not None
        assert [one.action for one in reminded.actions] == [DisputeAction.REMINDED]
        assert "evidence until" in await current_details(bank.handle(name))
        await skip(client, timedelta(days=3))
        assert "evidence is overdue" in await current_details(bank.handle(name))
        assert (await bank.until(name, DisputeStatus.NEEDS_RESPONSE)).open, "it stays until it is decided"
        # No webhook comes any more: it asks the provider by itself, once a day.
        bank.control(f"/{name}/decide", outcome="lost")
        await skip(client, timedelta(days=2))
        with suppress(asyncio.TimeoutError):
            ended = await asyncio.wait_for(bank.handle(name).result(), 20)
            assert ended.status is DisputeStatus.LOST
        assert (await bank.until(name, DisputeStatus.LOST)).closed_at is not None
