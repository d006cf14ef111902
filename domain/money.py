"""Money in integer minor units, and all rounding of it."""

from dataclasses import dataclass
from typing import Self

BASIS_POINTS = 10_000


@dataclass(frozen=True, order=True)
class Money:
    """An amount in minor units (cents) of one ISO 4217 currency; mixing currencies raises ValueError."""

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if len(self.currency) != 3 or not self.currency.isascii() or not self.currency.isupper():
            raise ValueError(f"{self.currency!r} is not an ISO 4217 currency code")

    @classmethod
    def zero(cls, currency: str) -> Self:
        """An amount of zero in a currency."""
        return cls(0, currency)

    def __add__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same_currency(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, count: int) -> "Money":
        return Money(self.amount * count, self.currency)

    def share(self, basis_points: int) -> "Money":
        """This many hundredths of a percent of the amount, rounded half up (away from zero)."""
        return Money(round_half_up(self.amount * basis_points, BASIS_POINTS), self.currency)

    def _same_currency(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise ValueError(f"cannot mix {self.currency} and {other.currency}")


def round_half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, halves away from zero, without floating point."""
    sign = -1 if (numerator < 0) != (denominator < 0) else 1
    quotient, remainder = divmod(abs(numerator), abs(denominator))
    return sign * (quotient + (1 if 2 * remainder >= abs(denominator) else 0))


def split(total: int, weights: list[int]) -> list[int]:
    """Split `total` minor units in proportion to `weights`; the parts always add up to the total.

    The largest remainders get the remaining units (Hamilton's method), the earlier one on a tie. If all weights are
    zero, the first part gets everything. Raises ValueError for no or negative weights.
    """
    if not weights or min(weights) < 0:
        raise ValueError("weights must be one or more non-negative integers")
    whole = sum(weights)
    if whole == 0:
        return [total, *([0] * (len(weights) - 1))]
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts
