"""Stripe's error envelope, and the refusals the simulator knows."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """A status and a JSON body, as stored under an idempotency key."""

    status: int
    body: Json


class ApiError(Exception):
    """A refusal, as Stripe would answer it.

    `stored` says whether it is kept under the idempotency key: refusals found by validation are
    forgotten (Stripe had not begun to execute), those found while executing are replayed.
    """

    def __init__(self, status: int, message: str, *, stored: bool = False, **fields: Any) -> None:
        super().__init__(message)
        self.stored = stored
        error = {"type": "invalid_request_error", "message": message, **fields}
        self.answer = Answer(status, {"error": {name: value for name, value in error.items() if value is not None}})


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    """A parameter that fails validation."""
    return ApiError(400, message, param=param, code=code)


def missing(kind: str, name: str, *, param: str = "intent", status: int = 404) -> ApiError:
    """An object that does not exist: 404 when it is the address, 400 when it is a parameter."""
    return ApiError(status, f"No such {kind}: '{name}'", param=param, code="resource_missing")


def unexpected_state(intent: Json, verb: str, allowed: str) -> ApiError:
    """An operation the intent's status does not allow."""
    message = (
        f"This PaymentIntent could not be {verb} because it has a status of {intent['status']}. "
        f"Only a PaymentIntent with one of the following statuses may be {verb}: {allowed}."
    )
    return ApiError(400, message, stored=True, code="payment_intent_unexpected_state", payment_intent=intent)


def server_error() -> Answer:
    """What Stripe answers to an internal error: it leaves open what was done."""
    message = "An unknown error occurred (injected by the simulator)."
    return Answer(500, {"error": {"type": "api_error", "message": message}})
