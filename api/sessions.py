"""Sessions: whether what was signed some minutes ago still holds, and how it is made to hold no longer."""

import asyncio
import time
from collections.abc import Callable, Sequence

from adapters.mysql.identity.users import Accounts
from adapters.token_versions import TokenVersions
from schemas.security import AccountState
from schemas.users import Account

_REVOKED, _LIVE = "1", "0"


class Sessions:
    """The one place that ends sessions, and that the token check asks. MySQL decides, Redis is faster."""

    def __init__(
        self,
        accounts: Accounts,
        fast: TokenVersions,
        revoke_all_of: Callable[[str], object],
        is_revoked: Callable[[str], bool],
    ) -> None:
        self._accounts = accounts
        self._fast = fast
        self._revoke_all_of = revoke_all_of
        self._is_revoked = is_revoked

    def end_all(self, user_id: str) -> None:
        """Sign the account out everywhere: no access token and no refresh token of it works from now on."""
        self._accounts.bump_token_version(user_id)
        self._revoke_all_of(user_id)
        account = self._accounts.by_id(user_id)
        if account is not None:
            self.changed(account)

    def changed(self, account: Account) -> None:
        """Have the account's new state seen everywhere; call it after every change that bumps the token version."""
        self._fast.publish([_account(account.id)], account.token_version, AccountState.of(account).model_dump_json())

    def revoked(self, *family_ids: str) -> None:
        """Have revocations that stand in MySQL seen everywhere."""
        self._fast.publish([_grant(one) for one in family_ids], 1, _REVOKED)

    def check(self, user_id: str, *family_ids: str) -> AccountState | None:
        """The account's state now; None when there is no such account, or one of the families has been revoked."""
        known, *copies = self._fast.read([_account(user_id), *map(_grant, family_ids)])
        if self._any_revoked(family_ids, copies):
            return None
        return AccountState.model_validate_json(known) if known is not None else self._state_in_mysql(user_id)

    async def look(self, user_id: str, *family_ids: str) -> AccountState | None:
        """`check` for the event loop: it takes a thread only for what Redis has no copy of."""
        known, *copies = await self._fast.read_async([_account(user_id), *map(_grant, family_ids)])
        if known is not None and all(copy == _LIVE for copy in copies):
            return AccountState.model_validate_json(known)
        return await asyncio.to_thread(self.check, user_id, *family_ids)

    def is_revoked(self, *family_ids: str) -> bool:
        """Whether one of the families has been revoked."""
        return self._any_revoked(family_ids, self._fast.read([_grant(one) for one in family_ids]))

    def _any_revoked(self, family_ids: Sequence[str], copies: Sequence[str | None]) -> bool:
        for family_id, copy in zip(family_ids, copies, strict=True):
            if copy == _REVOKED or (copy is None and self._revoked_in_mysql(family_id)):
                return True
        return False

    def _state_in_mysql(self, user_id: str) -> AccountState | None:
        asked_at = time.monotonic()
        account = self._accounts.by_id(user_id)
        if account is None:
            return None
        state = AccountState.of(account)
        self._fast.keep(_account(user_id), state.token_version, state.model_dump_json(), asked_at)
        return state

    def _revoked_in_mysql(self, family_id: str) -> bool:
        asked_at = time.monotonic()
        revoked = self._is_revoked(family_id)
        self._fast.keep(_grant(family_id), int(revoked), _REVOKED if revoked else _LIVE, asked_at)
        return revoked


def _account(user_id: str) -> str:
    return f"account:{user_id}"


def _grant(family_id: str) -> str:
    return f"grant:{family_id}"
