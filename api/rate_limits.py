"""Rate limits: how often one client may ask, shown in the headers of draft-ietf-httpapi-ratelimit-headers.

Everybody has a budget per window: a principal its own, all who are not signed in the one of their address. Where
secrets can be tried out – whatever is open to the world and changes something – the address has a second, small one.
"""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import limits
from fastapi import Depends, Request

from adapters.settings import Settings
from api.client_address import client_address
from api.deps import AppSettings, Rates, RequestAuthenticator
from api.errors import HttpProblem
from api.permissions import public
from api.principals import Principal
from api.tokens import InvalidToken
from schemas.problem_codes import ProblemCode

_UNLIMITED = ("/healthz", "/readyz", "/v1/webhooks/")  # asked by machines that must not be turned away; signed
_READING = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class _Budget:
    name: str
    rate: limits.RateLimitItem
    subject: str


async def _count(request: Request, authenticator: RequestAuthenticator, settings: AppSettings, rates: Rates) -> None:
    """Count the request; 429 when a budget is spent. The tightest budget stands in the answer's headers."""
    if request.scope["path"].startswith(_UNLIMITED):
        return
    moment = time.time()
    for budget in _budgets(request, await authenticator.caller_of(request), settings):
        window = int(budget.rate.get_expiry())
        # Named after the window as well, so that one increment is all there is to do.
        name = f"{budget.name}:{hashlib.sha256(budget.subject.encode()).hexdigest()[:32]}:{int(moment // window)}"
        used, resets_in = await rates.hit(name, window), window - int(moment % window)
        headers = {
            "RateLimit-Policy": f'"{budget.name}";q={budget.rate.amount};w={window}',
            "RateLimit": f'"{budget.name}";r={max(0, budget.rate.amount - used)};t={resets_in}',
        }
        request.state.answer_headers = headers
        if used > budget.rate.amount:
            detail = f"At most {budget.rate.amount} requests are allowed in {window} seconds. Please wait."
            raise HttpProblem(429, ProblemCode.TOO_MANY_REQUESTS, detail, {"Retry-After": str(resets_in)})


rate_limited: Any = Depends(_count)
_parsed = lru_cache(limits.parse)


def _budgets(request: Request, caller: Principal | InvalidToken | None, settings: Settings) -> Iterator[_Budget]:
    address = client_address(request)
    subject = caller.name if isinstance(caller, Principal) else f"address:{address}"
    yield _Budget("default", _parsed(settings.rate_limit), subject)
    if _can_be_guessed_at(request):
        yield _Budget("sensitive", _parsed(settings.rate_limit_sensitive), f"address:{address}")


def _can_be_guessed_at(request: Request) -> bool:
    route = request.scope.get("route")
    stated = [one.dependency for one in getattr(route, "dependencies", ())]
    return request.method not in _READING and public.dependency in stated
