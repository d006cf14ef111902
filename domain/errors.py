"""The failures business has a word for. Each carries a stable code and what a caller needs to act on it.

A BusinessError is a refusal: NotFound, InvalidRequest (understood, but not acceptable) or Conflict (what the caller saw
is no longer so). The others are about somebody else's system. Unavailable: it is away, so retry. OutcomeUnknown: it
will never say what it did, so ask how things stand, then decide. Misuse: it does not understand us, which is our bug.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass


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


@dataclass(frozen=True)
class Fault:
    """One thing that is not acceptable: where it stands (`variants/0/sku`), a stable code, and a sentence."""

    pointer: str
    code: str
    detail: str


class InvalidFields(InvalidRequest):
    """Parts of the request are not acceptable; `faults` says which and why."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        # As for every other body: pointers begin at the request.
        errors = [asdict(fault) | {"pointer": f"body/{fault.pointer}"} for fault in faults]
        super().__init__(f"{len(faults)} part(s) of the request are not acceptable.", errors=errors)
        self.faults = faults


class UnknownProduct(InvalidRequest):
    """The SKU is not in the catalog or is not for sale."""

    code = "unknown_product"


class UnknownShippingMethod(InvalidRequest):
    """No such shipping method for this address."""

    code = "unknown_shipping_method"


class UnknownReservation(InvalidRequest):
    """Nothing is, or was ever, reserved for this order there: the id is wrong, or another's."""

    code = "unknown_reservation"


class PaymentMethodRequired(InvalidRequest):
    """Store credit does not cover the order; `details` say what there is and what it costs."""

    code = "payment_method_required"


class EmptyCart(InvalidRequest):
    """A checkout needs at least one line."""

    code = "empty_cart"


class InvalidLink(InvalidRequest):
    """The mailed link is unknown, used or expired; which of them is not told."""

    code = "invalid_link"


class IdempotencyMismatch(InvalidRequest):
    """The key was sent before with another request."""

    code = "idempotency_key_reused"


class ImportFileChanged(InvalidRequest):
    """What was done with this key before was done of another file."""

    code = "import_file_changed"


class VoucherRefused(InvalidRequest):
    """The code cannot be used on this order; `code` says why."""

    def __init__(self, message: str, code: str, **details: object) -> None:
        super().__init__(message, **details)
        self.code = code


class Conflict(BusinessError):
    """What the caller saw is no longer so."""

    code = "conflict"


class RequestInProgress(Conflict):
    """The same request is being worked on at this moment."""

    code = "request_in_progress"


class CartChanged(Conflict):
    """The cart has another version than the one the caller checked out."""

    code = "cart_changed"


class QuoteChanged(Conflict):
    """The order costs more than the customer was shown."""

    code = "quote_changed"


class QuoteExpired(Conflict):
    """The price was shown too long ago to be ordered at."""

    code = "quote_expired"


class StaleVersion(Conflict):
    """Somebody else was faster: it has another version than the one the editor saw."""

    code = "stale_version"


class SkuTaken(Conflict):
    """The number belongs to another product: codes and SKUs are one namespace; `details["sku"]` names it."""

    code = "sku_taken"


class CodeTaken(Conflict):
    """There is a brand, category or voucher with this code already."""

    code = "code_taken"


class ImportTakenOver(Conflict):
    """Another sender of the same import went on while this one was silent."""

    code = "import_taken_over"


class TaxonomyInUse(Conflict):
    """Products or further categories stand on the shelf."""

    code = "taxonomy_in_use"


class InsufficientStock(Conflict):
    """A cart cannot take so many units; `details` name the SKU, the units wanted and those available."""

    code = "insufficient_stock"


class OutOfStock(Conflict):
    """Not everything asked for can be reserved; `details["lines"]` names each SKU with wanted and available."""

    code = "out_of_stock"


class BelowReserved(Conflict):
    """A count would leave less than what is promised; `details` say how many units are on hand and reserved."""

    code = "below_reserved"


class MoreThanShipped(Conflict):
    """More would come back from an order than went out to it; `details["returnable"]` is what still can."""

    code = "more_than_shipped"


class EmailTaken(Conflict):
    """Another account has proven this address. No answer says so: whoever meets it is told that their link is invalid,
    or to start again.
    """

    code = "email_taken"


class IdentityLinked(Conflict):
    """The account elsewhere signs in to one here already."""

    code = "identity_linked"


class AddressBookFull(Conflict):
    """The account has as many addresses as it may."""

    code = "address_book_full"


class LastAdmin(Conflict):
    """Without an administrator nobody could appoint one."""

    code = "last_admin"


class RefundExceedsCaptured(Conflict):
    """No more can be given back than was taken, less what was given back or is about to be."""

    code = "refund_exceeds_captured"


class PaymentDisputed(Conflict):
    """The customer's bank has not decided yet whose the money is, so nothing of it can be given back."""

    code = "payment_disputed"


class DifferenceDecided(Conflict):
    """A difference between the books has been decided about, or is gone."""

    code = "difference_decided"


class NoRepair(Conflict):
    """What would make the books agree is for a person to find."""

    code = "no_repair"


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
    """The payment provider gave no answer, or one that does not say what it did; the outcome of the call is unknown."""

    code = "provider_unavailable"


class NothingDone(ProviderUnavailable):
    """This call has certainly done nothing: it never got there, or was turned away at the door.

    What an earlier call under the same key has done is another matter.
    """

    code = "provider_did_nothing"


class KeyRefused(NothingDone):
    """The payment provider does not know our API key, or it may not do this: nothing is done until it is mended."""

    code = "provider_key_refused"


class CarrierUnavailable(Unavailable):
    """The carrier cannot be reached or is overloaded; the outcome of the call is unknown."""

    code = "carrier_unavailable"


class OutcomeUnknown(Exception):
    """The call under this key will never be answered otherwise than with a failure that does not say what was done."""

    code = "outcome_unknown"


class Misuse(Exception):
    """Somebody else's system says that our request is wrong; sending it again cannot help."""

    def __init__(self, message: str, code: str = "misuse") -> None:
        super().__init__(message)
        self.code = code
