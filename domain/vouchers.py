"""Voucher codes: their discount, and when they can be used."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.errors import VoucherRefused
from domain.money import BASIS_POINTS, Money, split

_CODE = re.compile(r"[A-Z0-9][A-Z0-9_-]{2,39}")


class VoucherKind(StrEnum):
    """The kind of discount: a share of the goods, an amount, or the shipping."""

    PERCENT = "percent"
    AMOUNT = "amount"
    FREE_SHIPPING = "free_shipping"


@dataclass(frozen=True)
class Voucher:
    """A code with its terms. `basis_points` is for percent, `amount` for amount; its validity is in UTC.

    Limits of use are not checked here but where uses are counted, with the order.
    """

    code: str
    kind: VoucherKind
    basis_points: int = 0
    amount: Money | None = None
    minimum: Money | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    active: bool = True

    def check(self, goods: Money, at: datetime) -> None:
        """Raise VoucherRefused unless it can be used for goods of this value at this moment."""
        if not self.active:
            raise refusal("voucher_unknown")
        if self.valid_from and at < self.valid_from:
            raise refusal("voucher_not_yet_valid", valid_from=self.valid_from.isoformat())
        if self.valid_to and at >= self.valid_to:
            raise refusal("voucher_expired", valid_to=self.valid_to.isoformat())
        for money in (self.amount, self.minimum):
            if money is not None and money.currency != goods.currency:
                raise refusal("voucher_other_currency", currency=money.currency)
        if self.minimum and goods.amount < self.minimum.amount:
            raise refusal("voucher_minimum_not_reached", minimum=self.minimum.amount)

    def off_goods(self, lines: list[Money]) -> list[Money]:
        """The discount of each line, never more than the line; the parts add up to the voucher's discount."""
        amounts = [line.amount for line in lines]
        whole = sum(amounts)
        if self.kind is VoucherKind.PERCENT:
            worth = Money(whole, lines[0].currency).share(min(self.basis_points, BASIS_POINTS)).amount
        else:
            worth = min(self.amount.amount, whole) if self.amount else 0
        parts = split(worth, amounts)
        return [Money(part, line.currency) for part, line in zip(parts, lines, strict=True)]

    def off_shipping(self, shipping: Money) -> Money:
        """The discount on shipping."""
        return shipping if self.kind is VoucherKind.FREE_SHIPPING else Money.zero(shipping.currency)


_WHY = {
    "voucher_unknown": "There is no such voucher.",
    "voucher_not_yet_valid": "This voucher cannot be used yet.",
    "voucher_expired": "This voucher has expired.",
    "voucher_other_currency": "This voucher is for another currency.",
    "voucher_minimum_not_reached": "The goods are worth less than this voucher asks for.",
    "voucher_used_up": "This voucher has been used as often as it may be.",
    "voucher_used_by_you": "You have used this voucher as often as you may.",
}


def refusal(code: str, **details: object) -> VoucherRefused:
    """The error for one of the reasons a voucher is refused."""
    return VoucherRefused(_WHY[code], code, **details)


def voucher_code(typed: str) -> str:
    """The code as stored, in upper case; raises VoucherRefused for what cannot be one.

    Only plain ASCII is accepted. Similar letters of other scripts are refused rather than mapped, so that two codes
    that look alike are never the same.
    """
    code = typed.strip().upper() if typed.isascii() else ""
    if not _CODE.fullmatch(code):
        raise refusal("voucher_unknown")
    return code
