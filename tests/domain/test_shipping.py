"""By which rate a parcel is booked."""

import pytest

from domain.money import Money
from domain.shipping import SHIPPING_METHODS, Rate, carrier_services, cheapest_rate


def rate(service: str, amount: int, currency: str = "EUR", name: str = "") -> Rate:
    return Rate(name or f"{service}-{amount}-{currency}", service, Money(amount, currency))


@pytest.mark.parametrize(
    ("method", "rates", "chosen"),
    [
        ("standard", [rate("standard", 500), rate("express", 900), rate("pickup", 0)], "standard-500-EUR"),
        ("standard", [rate("standard", 500), rate("express", 400)], "express-400-EUR"),
        ("standard", [rate("express", 500), rate("standard", 500)], "standard-500-EUR"),
        ("standard", [rate("express", 900), rate("pickup", 0)], "express-900-EUR"),
        ("standard", [rate("standard", 700), rate("standard", 600)], "standard-600-EUR"),
        ("express", [rate("standard", 500), rate("express", 900), rate("pickup", 0)], "express-900-EUR"),
        ("express", [rate("standard", 500), rate("pickup", 0)], None),
        ("pickup", [rate("standard", 1), rate("express", 1), rate("pickup", 200)], "pickup-200-EUR"),
        ("pickup", [rate("standard", 1), rate("express", 1)], None),
        ("by_drone", [rate("by_drone", 100), rate("standard", 1)], "by_drone-100-EUR"),
        ("standard", [], None),
    ],
)
def test_the_cheapest_rate_that_keeps_the_promise_is_chosen(method: str, rates: list[Rate], chosen: str | None) -> None:
    for order in (rates, rates[::-1]):
        found = cheapest_rate(order, method)
        assert (found.id if found else None) == chosen


def test_amounts_of_two_currencies_are_not_compared() -> None:
    rates = [rate("express", 100, "SEK"), rate("standard", 500), rate("express", 600)]
    assert cheapest_rate(rates, "standard") == rates[1]
    assert cheapest_rate([*rates, rate("express", 400)], "standard") == rate("express", 400)


def test_every_method_that_is_sold_is_kept_by_its_own_service_first() -> None:
    assert {code: carrier_services(code)[0] for code in SHIPPING_METHODS} == {code: code for code in SHIPPING_METHODS}
