"""What a customer was shown, signed rather than kept: a quote comes back with the checkout and is believed as it is."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from itsdangerous import BadSignature, URLSafeSerializer
from pydantic import ValidationError

from adapters.settings import Settings
from api.errors import HttpProblem
from domain.shipping import shipping_options
from schemas.base import Money, Payload
from schemas.carts import Cart
from schemas.checkout import PricedOrder
from schemas.problem_codes import ProblemCode
from schemas.quotes import QuotedLine, QuotedShipping, QuoteView

_PARTS = ("subtotal", "discount", "shipping", "tax", "total")


class ShownQuote(Payload):
    """What a token says was shown, and until when it holds."""

    cart_id: str
    cart_version: int
    currency: str
    subtotal: int
    discount: int
    shipping: int
    tax: int
    total: int
    hash: str
    expires_at: datetime

    def is_over(self) -> bool:
        """Whether it has expired."""
        return datetime.now(UTC) >= self.expires_at

    def changed_parts(self, priced: PricedOrder) -> list[str]:
        """Which parts of the price are not as shown."""
        return [part for part in _PARTS if getattr(self, part) != getattr(priced, part)]


@dataclass(frozen=True)
class Destination:
    """Where it goes, and how."""

    country: str
    shipping_method: str


class Quotes:
    """Signs quotes with the session's secret."""

    def __init__(self, settings: Settings) -> None:
        self._signer = URLSafeSerializer(settings.session_secret.get_secret_value(), salt="quote")
        self._lifetime = timedelta(minutes=settings.quote_minutes)

    def show(self, cart: Cart, priced: PricedOrder, to: Destination) -> QuoteView:
        """The price of this cart, with the token that stands for it."""
        shown = ShownQuote(
            cart_id=cart.id,
            cart_version=cart.version,
            currency=priced.currency,
            **{part: getattr(priced, part) for part in _PARTS},
            hash=_digest(priced),
            expires_at=datetime.now(UTC) + self._lifetime,
        )
        token = self._signer.dumps(shown.model_dump(mode="json"))
        return _view(priced, shown, to, str(token))

    def read(self, token: str) -> ShownQuote:
        """What the token stands for, over or not; raises a 422 for one that is not ours."""
        try:
            return ShownQuote.model_validate(self._signer.loads(token))
        except (BadSignature, ValidationError) as error:
            raise HttpProblem(
                422, ProblemCode.INVALID_QUOTE, "The quote is not valid. Please request a new one."
            ) from error


def _digest(priced: PricedOrder) -> str:
    return hashlib.sha256(priced.model_dump_json().encode()).hexdigest()


def _view(priced: PricedOrder, shown: ShownQuote, to: Destination, token: str) -> QuoteView:
    def money(amount: int) -> Money:
        return Money(amount=amount, currency=priced.currency)

    grams = sum(line.weight_grams * line.quantity for line in priced.lines)
    options = shipping_options(to.country, grams, priced.currency)
    lines = [
        QuotedLine(
            sku=line.sku,
            name=line.name,
            quantity=line.quantity,
            **{part: money(getattr(line, part)) for part in ("unit_price", "subtotal", "discount", "tax")},
        )
        for line in priced.lines
    ]
    return QuoteView(
        cart_version=shown.cart_version,
        country=to.country,
        shipping_method=to.shipping_method,
        voucher_code=priced.voucher_code,
        lines=lines,
        **{part: money(getattr(priced, part)) for part in _PARTS},
        tax_included=priced.tax_included,
        shipping_options=[QuotedShipping(code=one.code, name=one.name, price=Money.of(one.price)) for one in options],
        quote=token,
        hash=shown.hash,
        expires_at=shown.expires_at,
    )
