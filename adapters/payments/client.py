"""The client of the payment provider's API: it tries once, and all calls of one attempt share the attempt's time."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

import requests
import stripe
from stripe import RequestsClient
from urllib3 import Timeout

from adapters.settings import Settings

# Otherwise the SDK measures our calls for its maker, and writes an id for that into the user's configuration folder.
stripe.enable_telemetry = False

ATTEMPT_SECONDS = 35.0  # less than an activity has, so that it ends with an answer or an outage of its own
SEARCH_SECONDS = 10.0  # of these, for a search; the rest is for what is sent after it
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 25.0

_ends: ContextVar[float | None] = ContextVar("end of the attempt", default=None)


def api_version(settings: Settings) -> str:
    """The version of its API that we speak with the provider: the one the SDK was made for, unless another is set."""
    return settings.stripe_api_version or stripe.api_version


def stripe_client(settings: Settings) -> stripe.StripeClient:
    """A client that tries once."""
    # Temporal retries, and shows that it does; a client that retried as well would hide an outage in a long call.
    return stripe.StripeClient(
        settings.stripe_api_key.get_secret_value(),
        base_addresses={"api": settings.stripe_api_base.rstrip("/")},
        stripe_version=api_version(settings),
        max_network_retries=0,
        http_client=RequestsClient(timeout=_WhatIsLeft()),  # type: ignore[arg-type] # requests takes urllib3's as well
    )


@contextmanager
def one_attempt() -> Iterator[None]:
    """All calls within share the time of one attempt, however many they are. Also a decorator."""
    if _ends.get() is not None:
        yield
        return
    token = _ends.set(monotonic() + ATTEMPT_SECONDS)
    try:
        yield
    finally:
        _ends.reset(token)


def search_time_is_over() -> bool:
    """Whether a search in this attempt is to be continued in the next one."""
    ends = _ends.get()
    return ends is not None and monotonic() >= ends - (ATTEMPT_SECONDS - SEARCH_SECONDS)


class _WhatIsLeft(Timeout):
    """How long a call may take: urllib3 clones its time-out before every one."""

    def clone(self) -> Timeout:
        ends = _ends.get()
        left = _CONNECT_SECONDS + _ANSWER_SECONDS if ends is None else ends - monotonic()
        if left <= 0:
            raise requests.Timeout("the time of this attempt is over")
        return Timeout(total=left, connect=_CONNECT_SECONDS, read=_ANSWER_SECONDS)
