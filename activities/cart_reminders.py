"""Reminders of abandoned carts: for customers who want them, once for each version of a cart."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import NAMESPACE_URL, uuid5

from temporalio import activity

from domain.carts import user_of
from schemas.account_mails import AccountMailKind
from schemas.carts import Cart, CartsReminded

if TYPE_CHECKING:
    from adapters.carts.store import CartStore
    from adapters.mysql.identity.account_mails import WaitingMails
    from adapters.mysql.identity.users import Accounts

_PAGE = 100
# Carts that are older get no reminder, for instance when it was switched on only later.
_OLDEST = timedelta(days=7)


class MailClient(Protocol):
    """Starts the workflows that send waiting mails."""

    async def start(self, mail_id: str, summary: str) -> bool:
        """Start sending the mail; False when that was started before."""


class CartReminderActivities:
    """Many short reads; a repeat reminds nobody a second time."""

    def __init__(
        self, carts: "CartStore", accounts: "Accounts", waiting: "WaitingMails", mails: MailClient, after: timedelta
    ) -> None:
        self._carts = carts
        self._accounts = accounts
        self._waiting = waiting
        self._mails = mails
        self._after = after

    @activity.defn
    async def remind_of_carts(self) -> CartsReminded:
        """Remind of every user's abandoned cart; continues after the last heartbeat."""
        after, seen, started = "", 0, 0
        if details := activity.info().heartbeat_details:
            after, seen, started = details
        until = datetime.now(UTC) - self._after
        while page := await asyncio.to_thread(self._carts.abandoned, until - _OLDEST, until, after, _PAGE):
            due = [record.cart for record in page if record.reminded != record.cart.version and record.cart.items]
            started += await self._remind(due)
            after, seen = page[-1].cart.owner, seen + len(page)
            activity.heartbeat(after, seen, started)
        return CartsReminded(carts=seen, mails=started)

    async def _remind(self, carts: list[Cart]) -> int:
        users = {user_of(cart.owner): cart for cart in carts}
        found = await asyncio.to_thread(self._accounts.mail_preferences, list(users))
        started = 0
        for user_id, cart in users.items():
            preference = found.get(user_id)
            if preference is not None and preference.closed:
                await asyncio.to_thread(
                    self._carts.forget, cart.owner
                )  # closing the account was interrupted before this
            elif preference is not None and preference.subscribed:
                started += await self._send(cart, user_id, preference.email)
        return started

    async def _send(self, cart: Cart, user_id: str, email: str) -> bool:
        """The mail's id follows from the cart's version, so that a repeat finds it started."""
        mail_id = str(uuid5(NAMESPACE_URL, f"cart-reminder:{cart.id}:{cart.version}"))
        kind = AccountMailKind.CART_REMINDER
        waits = await asyncio.to_thread(self._waiting.add_once, mail_id, kind, email, user_id)
        started = await self._mails.start(mail_id, kind.value)
        if waits and not started:  # it was sent before, by a run that was interrupted before recording it
            await asyncio.to_thread(self._waiting.remove, mail_id)
        await asyncio.to_thread(self._carts.note_reminder, cart)
        return started
