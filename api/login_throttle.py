"""Guessing passwords gets slower: pauses that grow with every failure, for the account and for the address asked from.

Redis counts; each failure is also written to MySQL, which is asked when Redis is away. An attempt counts when it is
allowed, not when it has failed, so that guesses sent side by side are all counted; MySQL alone is not that strict.
"""

import hashlib
import math
from typing import Any

import redis
import structlog

from adapters.login_throttle import RecentLogins
from adapters.mysql.identity.login_failures import LoginFailures
from adapters.mysql.identity.security_events import SecurityEvents
from adapters.mysql.identity.users import normalise_email
from adapters.settings import Settings
from api.errors import HttpProblem
from domain.actors import GUEST_ACTOR
from domain.events import SecurityEventType
from schemas.problem_codes import ProblemCode

_log = structlog.get_logger(__name__)


class TooManyAttempts(HttpProblem):
    """429: wait `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        detail = f"Too many failed attempts. Try again in {retry_after} seconds."
        members = {"retry_after": retry_after}
        super().__init__(429, ProblemCode.TOO_MANY_ATTEMPTS, detail, {"Retry-After": str(retry_after)}, members)
        self.retry_after = retry_after


class LoginThrottle:
    """Asked before a password is compared, and given the result after. Unknown e-mail addresses are paused as well."""

    def __init__(
        self, settings: Settings, recent: RecentLogins, failures: LoginFailures, security: SecurityEvents
    ) -> None:
        self._per_account = settings.login_failures_per_account
        self._per_address = settings.login_failures_per_address
        self._recent = recent
        self._failures = failures
        self._security = security

    def check(self, email: str, address: str, user_id: str | None = None) -> None:
        """Count an attempt on the account from the address; raises TooManyAttempts when it must wait."""
        free = self._free(email, address)
        try:
            seconds = self._recent.claim(free)
        except redis.RedisError as outage:
            _log.warning("sign-in attempts are counted in MySQL alone", error=str(outage))
            seconds = self._failures.pause(free)
        if seconds > 0:
            wait = math.ceil(seconds)
            self._note(SecurityEventType.LOGIN_BLOCKED, email, address, user_id, retry_after=wait)
            raise TooManyAttempts(wait)

    def failed(self, email: str, address: str, user_id: str | None = None) -> None:
        """The password was wrong, or there is no such account."""
        self._failures.record(self._free(email, address))
        self._note(SecurityEventType.LOGIN_FAILED, email, address, user_id)

    def succeeded(self, email: str, address: str, *, proven: bool) -> None:
        """The password was right: the owner of the e-mail address, who has `proven` it, starts again without failures.

        The network address keeps its failures, and so does an e-mail address that is only claimed: else a guesser with
        an account of their own, which may carry anybody's address, could clear them. This attempt is no failure though.
        """
        if proven:
            self.forgive(email)
        try:
            self._recent.uncount(f"address:{address}")
            if not proven:
                self._recent.uncount(_subject(email))
        except redis.RedisError as outage:
            _log.warning("a sign-in stays counted as an attempt for a while", error=str(outage))

    def forgive(self, email: str) -> None:
        """Forget the failures on an account."""
        account = _subject(email)
        try:
            self._recent.forget(account)
        except redis.RedisError as outage:
            _log.warning("an account's failures stay counted for a while", error=str(outage))
        self._failures.forget(account)

    def _free(self, email: str, address: str) -> dict[str, int]:
        return {_subject(email): self._per_account, f"address:{address}": self._per_address}

    def _note(self, kind: SecurityEventType, email: str, address: str, user_id: str | None, **data: Any) -> None:
        self._security.record(
            kind, user_id=user_id, actor=GUEST_ACTOR, address=address, subject=_subject(email), **data
        )


def _subject(email: str) -> str:
    """A digest, because the address of somebody who has no account here is nothing we may keep."""
    return f"account:{hashlib.sha256(normalise_email(email).encode()).hexdigest()}"
