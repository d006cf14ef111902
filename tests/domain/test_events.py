"""Event types: what is built from a status is one of them, and each begins with what it is about."""

import pytest

from domain.events import EventType, SecurityEventType, order_event, parcel_event
from domain.fulfilment import ParcelStatus
from domain.orders import OrderStatus


@pytest.mark.parametrize("status", [status for status in ParcelStatus if status is not ParcelStatus.PLANNED])
def test_a_parcel_that_comes_to_a_status_has_an_event(status: ParcelStatus) -> None:
    assert parcel_event(status) == f"parcel.{status}"


@pytest.mark.parametrize("status", [OrderStatus.CANCELLING, OrderStatus.CANCELLED, OrderStatus.FAILED])
def test_an_order_that_is_taken_back_has_an_event(status: OrderStatus) -> None:
    assert order_event(status) == f"order.{status}"


def test_events_name_what_they_are_about() -> None:
    assert {one.partition(".")[0] for one in EventType} == {"order", "payment", "parcel", "product", "stock"}
    assert not set(EventType) & set(SecurityEventType)
