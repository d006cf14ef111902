"""What each answer of the carrier means: one table for all of its operations."""

from enum import StrEnum


class Operation(StrEnum):
    """What we ask of the carrier."""

    RATES = "rates"
    BOOK = "book"
    CANCEL = "cancel"
    RETRIEVE = "retrieve"


class Meaning(StrEnum):
    """What an answer means for the caller."""

    ANSWER = "answer"
    # A proper "no": the address is not delivered to, it is too late to cancel, there is no such shipment.
    REFUSAL = "refusal"
    # It was done before, under the same key, by a request that was another one.
    DONE_BEFORE = "done before"
    # Nobody knows whether anything was done; the same request, under its key, is sent again.
    OUTAGE = "outage"
    # The carrier calls our request wrong; sending it again, unchanged, cannot help, so a person looks at it.
    MISTAKE = "mistake"


_RATES, _BOOK, _CANCEL, _RETRIEVE = Operation.RATES, Operation.BOOK, Operation.CANCEL, Operation.RETRIEVE
_ALL = frozenset(Operation)
# A request under the same key still runs, such as that of a worker that was killed meanwhile.
_RUNNING = frozenset({"request_in_progress", "idempotency_key_in_use"})
_UNDELIVERABLE = frozenset({"address_undeliverable"})
_RATE_EXPIRED = frozenset({"rate_expired"})
_KEY_REUSED = frozenset({"idempotency_key_reused"})
_NO_SUCH_SHIPMENT = frozenset({"shipment_not_found"})

# The first row that fits decides; without codes it fits every code.
_TABLE: tuple[tuple[frozenset[Operation], range, frozenset[str] | None, Meaning], ...] = (
    (_ALL, range(200, 300), None, Meaning.ANSWER),
    (_ALL, range(401, 402), None, Meaning.OUTAGE),  # a wrong key is mended without the order
    (_ALL, range(403, 404), None, Meaning.OUTAGE),
    (frozenset({_RETRIEVE}), range(404, 405), _NO_SUCH_SHIPMENT, Meaning.REFUSAL),
    (frozenset({_CANCEL}), range(404, 405), _NO_SUCH_SHIPMENT, Meaning.MISTAKE),
    (_ALL, range(404, 405), None, Meaning.OUTAGE),  # a gateway's: the paths themselves are always there
    (_ALL, range(408, 409), None, Meaning.OUTAGE),
    (_ALL, range(409, 410), _RUNNING, Meaning.OUTAGE),
    (frozenset({_CANCEL}), range(409, 410), None, Meaning.REFUSAL),  # too late
    (frozenset({_RATES, _BOOK}), range(422, 423), _UNDELIVERABLE, Meaning.REFUSAL),
    (frozenset({_BOOK}), range(422, 423), _RATE_EXPIRED, Meaning.OUTAGE),  # the next attempt asks for rates again
    (
        frozenset({_BOOK}),
        range(422, 423),
        _KEY_REUSED,
        Meaning.DONE_BEFORE,
    ),  # by an attempt that was quoted other rates
    (_ALL, range(425, 426), None, Meaning.OUTAGE),
    (_ALL, range(429, 430), None, Meaning.OUTAGE),
    (_ALL, range(400, 500), None, Meaning.MISTAKE),
)


def meaning_of(operation: Operation, status: int, code: str | None) -> Meaning:
    """What this status and code mean as the answer to this operation; what is not in the table is an outage."""
    return next(
        (
            meaning
            for operations, statuses, codes, meaning in _TABLE
            if operation in operations and status in statuses and (codes is None or code in codes)
        ),
        Meaning.OUTAGE,
    )
