"""Pricing: a total is always the sum of its parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequest, UnknownShippingMethod
from domain.money import Money
from domain.pricing import MAX_ORDER_AMOUNT, SHIPPING_METHODS, TAX_BASIS_POINTS, PricedItem, quote

ITEMS = st.lists(
    st.builds(
        PricedItem,
        sku=st.just("SKU"),
        name=st.just("a thing"),
        quantity=st.integers(1, 50),
        unit_price=st.builds(Money, st.integers(0, 5_000), st.just("EUR")),
        weight_grams=st.integers(0, 5_000),
    ),
    min_size=1,
    max_size=20,
)


def item(quantity: int = 1, price: int = 1000, currency: str = "EUR", grams: int = 400) -> PricedItem:
    return PricedItem("SKU", "a thing", quantity, Money(price, currency), grams)


@given(ITEMS, st.sampled_from([*TAX_BASIS_POINTS, "US"]), st.sampled_from(sorted(SHIPPING_METHODS)))
def test_total_equals_its_parts(items: list[PricedItem], country: str, method: str) -> None:
    priced = quote(items, country, method)
    assert priced.subtotal.amount == sum(i.quantity * i.unit_price.amount for i in items)
    assert priced.total == priced.subtotal + priced.shipping + priced.tax
    shipping_tax = priced.tax.amount - sum(line.tax.amount for line in priced.lines)
    assert shipping_tax == priced.shipping.share(TAX_BASIS_POINTS.get(country, 0)).amount


def test_a_german_order_in_full() -> None:
    priced = quote([item(quantity=3, price=1999, grams=400)], "DE", "standard")
    assert (priced.subtotal.amount, priced.shipping.amount) == (5997, 390 + 2 * 50)
    assert priced.tax.amount == 1139 + 93  # 19 % of 59.97 and of 4.90, each rounded half up
    assert priced.total.amount == 5997 + 490 + 1232


def test_a_country_without_a_rate_pays_no_tax() -> None:
    assert quote([item()], "US", "standard").tax.amount == 0


@pytest.mark.parametrize(
    ("items", "error"),
    [
        ([], InvalidRequest),
        ([item(quantity=0)], InvalidRequest),
        ([item(), item(currency="USD")], InvalidRequest),
        ([item(quantity=2, price=MAX_ORDER_AMOUNT)], InvalidRequest),
    ],
)
def test_what_cannot_be_priced_is_refused(items: list[PricedItem], error: type[Exception]) -> None:
    with pytest.raises(error):
        quote(items, "DE", "standard")


def test_an_unknown_shipping_method_names_the_known_ones() -> None:
    with pytest.raises(UnknownShippingMethod, match="express, standard"):
        quote([item()], "DE", "drone")
