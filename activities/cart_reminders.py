"""Reminding customers of what they left in their carts: those who want such mails, once of each cart as it is."""

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
# What nobody was reminded of for so long, for instance because they did not want it then, is no news any more.
_TOO_LATE = timedelta(days=7)


class MailClient(Protocol):
    """Begins to send mails that wait."""

    async def start(self, mail_id: str, summary: str) -> bool:
        """Begin to send the mail; whether it had not been begun before."""


class CartReminderActivities:
    """Many short looks; a repeat reminds nobody a second time."""

    def __init__(
        self, carts: "CartStore", accounts: "Accounts", waiting: "WaitingMails", mails: MailClient, patience: timedelta
    ) -> None:
        self._carts = carts
        self._accounts = accounts
        self._waiting = waiting
        self._mails = mails
        self._patience = patience

    @activity.defn
    async def remind_of_carts(self) -> CartsReminded:
        """Look at every user's cart that has been left alone long enough; goes on after the last sign of life."""
        after, seen, begun = "", 0, 0
        if details := activity.info().heartbeat_details:
            after, seen, begun = details
        until = datetime.now(UTC) - self._patience
        while page := await asyncio.to_thread(self._carts.left_alone, until - _TOO_LATE, until, after, _PAGE):
            fresh = [one.cart for one in page if one.reminded != one.cart.version and one.cart.items]
            begun += await self._remind(fresh)
            after, seen = page[-1].cart.owner, seen + len(page)
            activity.heartbeat(after, seen, begun)
        return CartsReminded(carts=seen, mails=begun)

    async def _remind(self, carts: list[Cart]) -> int:
        users = {user_of(cart.owner): cart for cart in carts}
        found = await asyncio.to_thread(self._accounts.mail_wishes, list(users))
        begun = 0
        for user_id, cart in users.items():
            wish = found.get(user_id)
            if wish is not None and wish.closed:
                await asyncio.to_thread(self._carts.forget, cart.owner)  # its closing did not get so far
            elif wish is not None and wish.wanted:
                begun += await self._send(cart, user_id, wish.email)
        return begun

    async def _send(self, cart: Cart, user_id: str, email: str) -> bool:
        """The mail's id follows from the cart as it is, so that whoever comes second finds it begun."""
        mail_id = str(uuid5(NAMESPACE_URL, f"cart-reminder:{cart.id}:{cart.version}"))
        kind = AccountMailKind.CART_REMINDER
        waits = await asyncio.to_thread(self._waiting.add_once, mail_id, kind, email, user_id)
        begun = await self._mails.start(mail_id, kind.value)
        if waits and not begun:  # it was sent long ago, by a look that did not get to note it
            await asyncio.to_thread(self._waiting.remove, mail_id)
        await asyncio.to_thread(self._carts.note_reminder, cart)
        return begun
