"""Errors of other people's systems. Unavailable: it is away, so retry. OutcomeUnknown: it will never say what it did,
so ask how things stand, then decide. Misuse: it does not understand us, which is our bug.
"""


class Unavailable(Exception):
    """Another system is unavailable or overloaded; `retry_after` is in seconds when it is given."""

    code = "unavailable"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderUnavailable(Unavailable):
    """The payment provider gave no answer, or an inconclusive one; the outcome of the call is unknown."""

    code = "provider_unavailable"


class NothingDone(ProviderUnavailable):
    """The call has certainly done nothing: it never arrived, or was rejected before processing.

    This says nothing about an earlier call under the same key.
    """

    code = "provider_did_nothing"


class KeyRefused(NothingDone):
    """The payment provider rejects our API key or its permissions: nothing works until the key is corrected."""

    code = "provider_key_refused"


class CarrierUnavailable(Unavailable):
    """The carrier cannot be reached or is overloaded; the outcome of the call is unknown."""

    code = "carrier_unavailable"


class CarrierKeyRefused(CarrierUnavailable):
    """The carrier rejects our API key or its permissions: nothing works until the key is corrected."""

    code = "carrier_key_refused"


class OutcomeUnknown(Exception):
    """Every call under this key is answered with an error that does not say what was done."""

    code = "outcome_unknown"


class Misuse(Exception):
    """Another system says that our request is wrong; a retry cannot help."""

    def __init__(self, message: str, code: str = "misuse") -> None:
        super().__init__(message)
        self.code = code
