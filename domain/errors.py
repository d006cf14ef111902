"""The failures business has a word for. Each carries a stable code and what a caller needs to act on it.

BusinessError
├── NotFound                 no such thing, or not yours
├── InvalidRequest           understood, but not acceptable
│   ├── UnknownProduct
│   ├── UnknownShippingMethod
│   ├── InvalidLink
│   └── EmptyCart
└── Conflict                 the world has moved on
    ├── CartChanged
    ├── OutOfStock
    ├── EmailTaken
    ├── LastAdmin
    ├── AddressBookFull
    └── IllegalMove

Unavailable                  somebody else's system is away: retry
├── ProviderUnavailable
└── CarrierUnavailable

Misuse                       somebody else's system does not understand us: our bug
"""


class BusinessError(Exception):
    """A refusal with a reason; retrying the same thing gives the same refusal."""

    code = "business_error"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class NotFound(BusinessError):
    """No such thing, or it belongs to somebody else: the two are not told apart."""

    code = "not_found"


class InvalidRequest(BusinessError):
    """Well-formed, but it asks for something that cannot be."""

    code = "invalid_request"


class UnknownProduct(InvalidRequest):
    """The SKU is not in the catalog or is not for sale."""

    code = "unknown_product"


class UnknownShippingMethod(InvalidRequest):
    """No such shipping method for this address."""

    code = "unknown_shipping_method"


class EmptyCart(InvalidRequest):
    """A checkout needs at least one line."""

    code = "empty_cart"


class InvalidLink(InvalidRequest):
    """The mailed link is unknown, used or expired; which of them is not told."""

    code = "invalid_link"


class Conflict(BusinessError):
    """What the caller saw is no longer so."""

    code = "conflict"


class CartChanged(Conflict):
    """The cart has another version than the one the caller checked out."""

    code = "cart_changed"


class OutOfStock(Conflict):
    """Not everything asked for can be reserved; `details["lines"]` names each SKU with wanted and available."""

    code = "out_of_stock"


class EmailTaken(Conflict):
    """An account with this address exists."""

    code = "email_taken"


class AddressBookFull(Conflict):
    """The account has as many addresses as it may."""

    code = "address_book_full"


class LastAdmin(Conflict):
    """Without an administrator nobody could appoint one."""

    code = "last_admin"


class IllegalMove(Conflict):
    """The order cannot go from its status to the one asked for."""

    code = "illegal_move"


class Unavailable(Exception):
    """Somebody else's system is away or asks for patience; `retry_after` is in seconds when it says."""

    code = "unavailable"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderUnavailable(Unavailable):
    """The payment provider cannot be reached or is overloaded; the outcome of the call is unknown."""

    code = "provider_unavailable"


class CarrierUnavailable(Unavailable):
    """The carrier cannot be reached or is overloaded; the outcome of the call is unknown."""

    code = "carrier_unavailable"


class Misuse(Exception):
    """Somebody else's system says that our request is wrong; sending it again cannot help."""

    def __init__(self, message: str, code: str = "misuse") -> None:
        super().__init__(message)
        self.code = code
