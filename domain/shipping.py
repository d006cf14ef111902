"""Shipping methods: their destinations and tariffs, and by which service of the carrier a parcel goes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from domain.errors import UnknownShippingMethod
from domain.money import Money
from domain.tax import RATES


@dataclass(frozen=True)
class Tariff:
    """A base price and a price per started kilogram, in minor units."""

    base: int
    per_kilogram: int


@dataclass(frozen=True)
class ShippingMethod:
    """A shipping method: a tariff per zone and currency, and the heaviest order it accepts, in grams.

    `carrier_services` are the carrier's services that keep its promise: the one that it is named after first, then what
    is faster. Without one nobody would take its parcels, so it is never sold.
    `handling_hours` is how long a warehouse may take until it has dispatched a parcel whose goods are there.
    """

    code: str
    name: str
    max_grams: int
    tariffs: Mapping[str, Mapping[str, Tariff]] = field(default_factory=dict)
    carrier_services: tuple[str, ...] = ()
    handling_hours: int = 48

    def price(self, country: str, grams: int, currency: str) -> Money | None:
        """The price, or None when the carrier, the destination or the currency is not offered, or it is too heavy."""
        tariff = self.tariffs.get(zone_of(country), {}).get(currency)
        if not self.carrier_services or tariff is None or grams > self.max_grams:
            return None
        started_kilograms = -(-grams // 1000)
        return Money(tariff.base + tariff.per_kilogram * started_kilograms, currency)


@dataclass(frozen=True)
class ShippingOption:
    """A method that is available for an order, with its price."""

    code: str
    name: str
    price: Money


@dataclass(frozen=True)
class Rate:
    """What the carrier charges us for a parcel by one of its services."""

    id: str
    service: str
    price: Money


def zone_of(country: str) -> str:
    """`eu` where we charge tax, `world` everywhere else."""
    return "eu" if country in RATES else "world"


SHIPPING_METHODS: dict[str, ShippingMethod] = {
    method.code: method
    for method in (
        ShippingMethod(
            "standard",
            "Standard, 2-4 days",
            max_grams=10_000_000,  # in as many parcels as needed
            tariffs={
                "eu": {"EUR": Tariff(390, 50), "USD": Tariff(450, 60), "GBP": Tariff(350, 45)},
                "world": {"EUR": Tariff(1490, 400), "USD": Tariff(1690, 450), "GBP": Tariff(1290, 350)},
            },
            carrier_services=("standard", "express"),
        ),
        ShippingMethod(
            "express",
            "Express, next day",
            max_grams=100_000,
            tariffs={
                "eu": {"EUR": Tariff(990, 120), "USD": Tariff(1150, 140), "GBP": Tariff(890, 105)},
                "world": {"EUR": Tariff(3990, 900), "USD": Tariff(4490, 990), "GBP": Tariff(3490, 790)},
            },
            carrier_services=("express",),
            handling_hours=24,
        ),
        ShippingMethod(
            "pickup",
            "Collect at a parcel shop",
            max_grams=20_000,
            tariffs={"eu": {"EUR": Tariff(290, 30), "USD": Tariff(340, 35), "GBP": Tariff(260, 25)}},
            carrier_services=("pickup",),
        ),
    )
}


def carrier_services(method: str) -> tuple[str, ...]:
    """The carrier's services for a shipping method that was sold; a code without any is the carrier's own word."""
    known = SHIPPING_METHODS.get(method)
    return known.carrier_services if known and known.carrier_services else (method,)


def cheapest_rate(rates: Iterable[Rate], method: str) -> Rate | None:
    """The cheapest of the rates that keep the promise of the shipping method; None when there is none.

    Of equal ones it is the one of the service that was paid for, which also decides whose currency counts: amounts of
    two currencies are not compared.
    """
    services = carrier_services(method)
    kept = sorted((rate for rate in rates if rate.service in services), key=lambda rate: services.index(rate.service))
    comparable = [rate for rate in kept if rate.price.currency == kept[0].price.currency]
    return min(comparable, key=lambda rate: rate.price.amount, default=None)


def shipping_options(country: str, grams: int, currency: str) -> list[ShippingOption]:
    """The methods available for an order of this weight, cheapest first."""
    priced = ((method, method.price(country, grams, currency)) for method in SHIPPING_METHODS.values())
    options = [ShippingOption(method.code, method.name, price) for method, price in priced if price is not None]
    return sorted(options, key=lambda option: option.price.amount)


def shipping_price(code: str, country: str, grams: int, currency: str) -> Money:
    """The price of this method; raises UnknownShippingMethod naming those that are available."""
    method = SHIPPING_METHODS.get(code)
    price = method.price(country, grams, currency) if method else None
    if price is None:
        known = [option.code for option in shipping_options(country, grams, currency)]
        listed = ", ".join(sorted(known)) or "none"
        raise UnknownShippingMethod(
            f"The shipping method {code!r} is not open to this order; choose one of: {listed}.", methods=known
        )
    return price
