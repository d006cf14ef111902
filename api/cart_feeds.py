"""Carts as they change, for everybody who watches them: a change is looked up once per cart and process.

Redis announces a change of the cart, the topic of products a change of a price or of the stock. Each process follows
the topic for itself: the carts being watched are known here alone, and only what is in them is looked up. A stream is
right without either: it looks again by itself, sooner while Redis is away.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import structlog

from adapters.carts.cached import CachedCarts
from adapters.carts.epoch import CacheEpoch
from adapters.carts.offers import CartOffers
from adapters.carts.signals import CartSignals
from adapters.topic_tail import TopicTail
from api.cart_views import shown_cart, state_of

_log = structlog.get_logger(__name__)
MOST_STREAMS = 10
_LOOK_SECONDS = 10.0
_LOOK_WITHOUT_SIGNALS_SECONDS = 2.0
_STOP_SECONDS = 0.1


class TooManyStreams(Exception):
    """This cart is watched from as many places as it may be."""


@dataclass(frozen=True)
class Shown:
    """A cart as it is shown at a moment: `state` names it, `text` is its JSON."""

    state: str
    text: str
    products: frozenset[str]


@dataclass
class _Feed:
    owner: str
    watchers: int = 0
    begun: int = 0
    done: int = 0
    shown: Shown | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    look: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Have everybody who waits look at what is shown."""
        self.changed.set()
        self.changed = asyncio.Event()


class Watcher:
    """One stream. It is only ever given the newest cart: a slow one misses what was in between, and nothing queues."""

    def __init__(self, feed: _Feed, ended: asyncio.Event) -> None:
        self._feed = feed
        self._ended = ended
        # What was looked up before it came may be older than what its customer knows.
        self._first = feed.begun + 1

    @property
    def ended(self) -> bool:
        """Whether the process is about to stop."""
        return self._ended.is_set()

    async def newer_than(self, state: str | None, seconds: float) -> Shown | None:
        """The cart once it is shown otherwise than in this state; None when it is not within the time, or all ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.ended:
                    shown, changed = self._feed.shown, self._feed.changed
                    if shown is not None and shown.state != state and self._feed.done >= self._first:
                        return shown
                    await changed.wait()
        return None


class CartFeeds:
    """One per process. Between `running` it works, and ends all streams as soon as the process is asked to stop."""

    def __init__(
        self,
        redis_url: str,
        tail: Callable[[Callable[[Collection[str]], None]], TopicTail],
        epoch: CacheEpoch,
        carts: CachedCarts,
        offers: CartOffers,
    ) -> None:
        self._feeds: dict[str, _Feed] = {}
        self._signals = CartSignals(redis_url, self._look_at)
        self._tail = tail(self._receive_products)
        self._epoch = epoch
        self._carts = carts
        self._offers = offers
        self._products = set[str]()
        self._products_changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def running(self, stopping: threading.Event) -> AsyncIterator[None]:
        """Follow changes for the length of the block."""
        self._loop = asyncio.get_running_loop()
        tail_ended = threading.Event()
        tail = threading.Thread(target=self._tail.follow, args=(tail_ended,), name="product-tail", daemon=True)
        followers: list[Callable[[], Awaitable[None]]] = [self._signals.listen, self._follow_products]
        tasks = [asyncio.ensure_future(follow()) for follow in followers]
        tasks.append(asyncio.ensure_future(self._wait_for_stop(stopping)))
        tail.start()
        try:
            with self._epoch.watching():
                yield
        finally:
            self._end()
            tail_ended.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(tail.join)

    @asynccontextmanager
    async def watch(self, owner: str) -> AsyncIterator[Watcher]:
        """Watch a cart for the length of the block; raises TooManyStreams."""
        feed = self._feeds.setdefault(owner, _Feed(owner))
        if feed.watchers >= MOST_STREAMS:
            raise TooManyStreams
        feed.watchers += 1
        feed.look.set()
        if feed.task is None:
            feed.task = asyncio.create_task(self._keep_looking(feed))
        try:
            yield Watcher(feed, self._ended)
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                del self._feeds[owner]
                feed.task.cancel()
                # In a task of its own, because whoever watched may be being cancelled.
                asyncio.ensure_future(self._unwatch(owner))  # noqa: RUF006

    async def _keep_looking(self, feed: _Feed) -> None:
        await self._signals.watch(feed.owner)
        while True:
            feed.look.clear()
            feed.begun += 1
            try:
                feed.shown, feed.done = await self._look(feed.owner), feed.begun
                feed.wake()
                well = True
            except Exception as error:  # noqa: BLE001 - whatever it was, a stream must not fall silent for ever
                well = False
                _log.warning("a watched cart cannot be read; it is shown late", error=repr(error)[:200])
            relied_on = well and self._signals.live and self._epoch.current() is not None
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS if relied_on else _LOOK_WITHOUT_SIGNALS_SECONDS):
                    await feed.look.wait()

    async def _unwatch(self, owner: str) -> None:
        if owner not in self._feeds:  # somebody may have come back meanwhile
            await self._signals.unwatch(owner)

    async def _look(self, owner: str) -> Shown:
        cart = await self._carts.get(owner)
        offers = await self._offers.of(cart.items.keys())
        view = shown_cart(cart, offers)
        products = frozenset(offer.product for offer in offers.values())
        return Shown(state_of(view), view.model_dump_json(by_alias=True), products)

    def _look_at(self, owner: str) -> None:
        if (feed := self._feeds.get(owner)) is not None:
            feed.look.set()

    def _receive_products(self, codes: Collection[str]) -> None:
        """Called from the thread of the tail."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note_products, codes)

    def _note_products(self, codes: Collection[str]) -> None:
        self._products |= set(codes)
        self._products_changed.set()

    async def _follow_products(self) -> None:
        while True:
            await self._products_changed.wait()
            self._products_changed.clear()
            products, self._products = self._products, set()
            await self._offers.forget(products)
            for feed in self._feeds.values():
                if feed.shown is not None and not products.isdisjoint(feed.shown.products):
                    feed.look.set()

    async def _wait_for_stop(self, stopping: threading.Event) -> None:
        # Polled, because it is set by a signal handler, which may not touch the loop.
        while not stopping.is_set():  # noqa: ASYNC110
            await asyncio.sleep(_STOP_SECONDS)
        self._end()

    def _end(self) -> None:
        self._ended.set()
        for feed in self._feeds.values():
            feed.wake()
