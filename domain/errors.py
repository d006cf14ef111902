"""Business errors: refusals, each with a stable code and what a caller needs to act on it.

NotFound, InvalidRequest (understood, but not acceptable) or Conflict (what the caller saw is no longer so). What other
systems do to us is in `domain/outside_errors.py`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass


class BusinessError(Exception):
    """A refusal with a reason; a retry gives the same refusal."""

    code = "business_error"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class NotFound(BusinessError):
    """It does not exist, or belongs to somebody else: the answer does not distinguish the two."""

    code = "not_found"


class InvalidRequest(BusinessError):
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


class InvalidData(InvalidRequest):
    """What was ordered holds a value that our stores cannot take; no retry can help."""

    code = "invalid_data"


class UnknownProduct(InvalidRequest):
    """The SKU is not in the catalog or is not for sale."""

    code = "unknown_product"


class UnknownShippingMethod(InvalidRequest):
    code = "unknown_shipping_method"


class UnknownReservation(InvalidRequest):
    """Nothing was ever reserved there for an order of this id."""

    code = "unknown_reservation"


class PaymentMethodRequired(InvalidRequest):
    """Store credit does not cover the order; `details` have the available credit and the total."""

    code = "payment_method_required"


class EmptyCart(InvalidRequest):
    code = "empty_cart"


class InvalidLink(InvalidRequest):
    """The mailed link is unknown, used or expired; the answer does not say which."""

    code = "invalid_link"


class IdempotencyMismatch(InvalidRequest):
    """The key was sent before with another request."""

    code = "idempotency_key_reused"


class ImportFileChanged(InvalidRequest):
    """What was done with this key before was done of another file."""

    code = "import_file_changed"


class VoucherRefused(InvalidRequest):
    """The voucher cannot be used for this order; `code` says why."""

    def __init__(self, message: str, code: str, **details: object) -> None:
        super().__init__(message, **details)
        self.code = code


class Conflict(BusinessError):
    """The state has changed since the caller read it, or rules the request out."""

    code = "conflict"


class RequestInProgress(Conflict):
    code = "request_in_progress"


class CartChanged(Conflict):
    code = "cart_changed"


class QuoteChanged(Conflict):
    """The order costs more than the quote."""

    code = "quote_changed"


class QuoteExpired(Conflict):
    code = "quote_expired"


class StaleVersion(Conflict):
    code = "stale_version"


class SkuTaken(Conflict):
    """The code or SKU belongs to another product: they share one namespace; `details["sku"]` names it."""

    code = "sku_taken"


class CodeTaken(Conflict):
    """There is a brand, category or voucher with this code already."""

    code = "code_taken"


class ImportTakenOver(Conflict):
    """Another sender of the same import went on while this one was silent."""

    code = "import_taken_over"


class TaxonomyInUse(Conflict):
    """The brand or category still has products or subcategories."""

    code = "taxonomy_in_use"


class InsufficientStock(Conflict):
    """There are fewer units than are wanted: for a cart, where `details` name the SKU with the units wanted and
    available, or in any one warehouse for a parcel that is shipped again, where `details["lines"]` do for each.
    """

    code = "insufficient_stock"


class OutOfStock(Conflict):
    """Not everything can be reserved; `details["lines"]` names each SKU with the units requested and available."""

    code = "out_of_stock"


class BelowReserved(Conflict):
    """An adjustment would leave fewer units than are reserved; `details` have the units on hand and reserved."""

    code = "below_reserved"


class MoreThanShipped(Conflict):
    """More units would be restocked than were shipped; `details["returnable"]` is what still can be."""

    code = "more_than_shipped"


class EmailTaken(Conflict):
    """Another account has verified this address. No answer reveals it: the caller learns that the link is invalid, or
    is asked to start again.
    """

    code = "email_taken"


class IdentityLinked(Conflict):
    """The account elsewhere signs in to one here already."""

    code = "identity_linked"


class AddressBookFull(Conflict):
    code = "address_book_full"


class LastAdmin(Conflict):
    code = "last_admin"


class RefundExceedsCaptured(Conflict):
    """The refund exceeds what was captured, less other refunds, done or in progress."""

    code = "refund_exceeds_captured"


class PaymentDisputed(Conflict):
    """The customer's bank has not decided a dispute yet, so nothing of the payment can be refunded."""

    code = "payment_disputed"


class DifferenceDecided(Conflict):
    code = "difference_decided"


class NoRepair(Conflict):
    code = "no_repair"


class TaskResolvesItself(Conflict):
    """What needs an operator here ends with its cause, and not because somebody says so."""

    code = "task_resolves_itself"


class NotBackordered(Conflict):
    """Nothing of the order waits for goods."""

    code = "not_backordered"


class TooLate(Conflict):
    """The order is past the point where this is possible."""

    code = "too_late"


class NothingToAdopt(Conflict):
    """The order has ended, and nothing of it is held, reserved or under way."""

    code = "nothing_to_adopt"


class AddressRaisesTotal(Conflict):
    """The order would cost more at this address; `details` have its total and the new one."""

    code = "address_raises_total"


class IllegalMove(Conflict):
    code = "illegal_move"


class PickMismatch(Conflict):
    code = "pick_mismatch"


class AlreadyPicked(Conflict):
    code = "already_picked"


class ParcelResolved(Conflict):
    code = "parcel_resolved"


class ParcelRefunded(Conflict):
    """Of what was captured for the parcel something was refunded, so that it is not shipped again."""

    code = "parcel_refunded"


class NothingToRefund(Conflict):
    code = "nothing_to_refund"
