"""Value-added tax by country and class, added to net prices or included in gross prices.

Rounding: tax is rounded half up to the minor unit once per line and once for shipping, never on a total, so that an
invoice's lines add up to its total to the cent (Directive 2006/112/EC leaves the method to the member states; per
line is allowed in all of these).
"""

from domain.catalog import TaxClass
from domain.money import BASIS_POINTS, Money, round_half_up

# (standard, reduced) in basis points; the reduced rate is the one on food and books. Source: European Commission,
# "VAT rates applied in the Member States"; orders to other countries are without tax.
RATES: dict[str, tuple[int, int]] = {
    "AT": (2000, 1000),
    "BE": (2100, 600),
    "DE": (1900, 700),
    "DK": (2500, 2500),
    "ES": (2100, 1000),
    "FR": (2000, 550),
    "IE": (2300, 1350),
    "IT": (2200, 1000),
    "NL": (2100, 900),
    "PL": (2300, 800),
    "PT": (2300, 600),
    "SE": (2500, 1200),
}


def tax_rate(country: str, tax_class: TaxClass) -> int:
    """The rate in basis points for goods of this class delivered to this country (ISO 3166 alpha-2)."""
    if tax_class is TaxClass.ZERO:
        return 0
    standard, reduced = RATES.get(country, (0, 0))
    return standard if tax_class is TaxClass.STANDARD else reduced


def tax_of(amount: Money, rate: int, *, included: bool) -> Money:
    """The tax on a net amount, or the tax included in a gross amount."""
    if included:
        return Money(round_half_up(amount.amount * rate, BASIS_POINTS + rate), amount.currency)
    return amount.share(rate)
