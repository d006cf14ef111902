"""Signals that a cart has changed, from process to process over Redis: one connection, however many are watched."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import redis
import redis.asyncio
import structlog
from redis.asyncio.client import PubSub

from adapters.carts.cache import channel_of

_log = structlog.get_logger(__name__)
_PAUSE_SECONDS = 1.0
_PING_SECONDS = 5


class CartSignals:
    """Calls `on_change` with a cart's owner when it may have changed, also once it is watched and after an outage.

    Signals are lost while Redis is away: `live` says whether they can be relied on.
    """

    def __init__(self, url: str, on_change: Callable[[str], None]) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url,
            socket_connect_timeout=1,
            decode_responses=True,
            health_check_interval=_PING_SECONDS,
        )
        self._on_change = on_change
        self._owners: dict[str, str] = {}
        self._pubsub: PubSub | None = None
        self.live = False

    async def watch(self, owner: str) -> None:
        """Receive signals of this cart from now on."""
        self._owners[channel_of(owner)] = owner
        if self._pubsub is not None:
            with suppress(redis.RedisError, OSError):  # the listener notices, and subscribes when Redis is back
                await self._pubsub.subscribe(channel_of(owner))

    async def unwatch(self, owner: str) -> None:
        """Stop receiving its signals."""
        self._owners.pop(channel_of(owner), None)
        if self._pubsub is not None:
            with suppress(redis.RedisError, OSError):
                await self._pubsub.unsubscribe(channel_of(owner))

    async def listen(self) -> None:
        """Receive signals until cancelled."""
        try:
            while True:
                try:
                    await self._listen_once()
                except (redis.RedisError, OSError) as error:
                    if self.live:
                        _log.warning("signals of cart changes are not received: Redis is away", error=str(error)[:200])
                    self.live, self._pubsub = False, None
                    await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            self.live, self._pubsub = False, None
            await self._client.aclose()

    async def _listen_once(self) -> None:
        async with self._client.pubsub() as pubsub:
            # A channel nobody publishes on: without any channel there is nothing to wait for.
            await pubsub.subscribe(channel_of(""), *self._owners)
            self._pubsub, self.live = pubsub, True
            while True:
                message = await pubsub.get_message(timeout=_PING_SECONDS)
                # The answer to a subscription counts as well: signals before it were not received.
                if message is not None and message["type"] in ("message", "subscribe"):
                    owner = self._owners.get(message["channel"])
                    if owner is not None:
                        self._on_change(owner)
