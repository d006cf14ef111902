"""The codes of problems that only the API has; failures of the business carry theirs, see `domain/errors.py`."""

from enum import StrEnum


class ProblemCode(StrEnum):
    """What `code` says; callers decide by it, so a value never changes."""

    # Of HTTP itself
    BAD_REQUEST = "bad_request"
    NOT_AUTHENTICATED = "not_authenticated"
    FORBIDDEN = "forbidden"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    TOO_MANY_REQUESTS = "too_many_requests"
    INTERNAL_ERROR = "internal_error"
    UNAVAILABLE = "unavailable"
    MALFORMED_JSON = "malformed_json"
    # Headers
    IDEMPOTENCY_KEY_REQUIRED = "idempotency_key_required"
    IDEMPOTENCY_KEY_INVALID = "idempotency_key_invalid"
    PRECONDITION_REQUIRED = "precondition_required"
    INVALID_IF_MATCH = "invalid_if_match"
    INVALID_CART_TOKEN = "invalid_cart_token"  # noqa: S105 - a code
    INVALID_SIGNATURE = "invalid_signature"
    # Accounts and sign-in
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - a code
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a code
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    ACCOUNT_LOCKED = "account_locked"
    EMAIL_NOT_VERIFIED = "email_not_verified"
    EXTERNAL_SIGN_IN_FAILED = "external_sign_in_failed"
    # Carts and checkout
    INVALID_ADDRESS = "invalid_address"
    INVALID_QUOTE = "invalid_quote"
    TOO_MANY_STREAMS = "too_many_streams"
    ORDER_PENDING = "order_pending"
    PAYMENT_DECLINED = "payment_declined"
    REFUND_REFUSED = "refund_refused"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    # Files of products
    WRONG_ENCODING = "wrong_encoding"
    WRONG_DELIMITER = "wrong_delimiter"
    EMPTY_FILE = "empty_file"
    MALFORMED_HEADER = "malformed_header"
    TOO_MANY_COLUMNS = "too_many_columns"
    MISSING_COLUMNS = "missing_columns"
    UNKNOWN_COLUMNS = "unknown_columns"
    DUPLICATE_COLUMNS = "duplicate_columns"
