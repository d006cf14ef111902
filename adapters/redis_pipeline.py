"""Redis for the event loop: commands that many requests send at the same time travel together."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from typing import Any

import redis.asyncio
import structlog
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import NoScriptError
from redis.retry import Retry

_log = structlog.get_logger(__name__)
_PAUSE_SECONDS = 0.5  # how long Redis is not called again after it failed
_Command = tuple[str | int | bytes, ...]
_Pending = tuple[_Command, asyncio.Future[Any]]


class RedisScript:
    """A script that is sent by its digest, and whole to a server that does not have it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 - Redis's own name for a script


class RedisPipeline:
    """Commands of one turn of the event loop are one round trip; with that, a command costs a third.

    Raises redis.RedisError, at once for a moment after an outage: callers do not queue for a server that is away.
    """

    def __init__(self, url: str) -> None:
        # Once more, for a connection that a restarted server has forgotten.
        self._client = redis.asyncio.Redis.from_url(
            url, socket_timeout=1, socket_connect_timeout=1, decode_responses=True, retry=Retry(NoBackoff(), 1)
        )
        self._waiting: list[_Pending] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._away_until = 0.0

    async def execute(self, *command: str | int | bytes) -> Any:
        """The answer to one command."""
        if time.monotonic() < self._away_until:
            raise Unreachable("Redis failed a moment ago and is not called again yet")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._flush)
        return await answer

    async def run(self, script: RedisScript, key: str, *arguments: str | int) -> Any:
        """The answer of a script on one key."""
        try:
            return await self.execute("EVALSHA", script.digest, 1, key, *arguments)
        except NoScriptError:
            return await self.execute("EVAL", script.text, 1, key, *arguments)

    async def close(self) -> None:
        """Cancel running commands and close the connections."""
        for task in self._sending:
            task.cancel()
        await self._client.aclose()

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._send(batch))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, batch: Sequence[_Pending]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for command, _ in batch:
            pipeline.execute_command(*command)
        answers: Sequence[object]
        try:
            answers = await pipeline.execute(raise_on_error=False)
        except (redis.RedisError, OSError) as error:
            self._note_outage(error)
            answers = [Unreachable(str(error))] * len(batch)
        except BaseException:
            _settle(batch, [Unreachable("the connection is being closed")] * len(batch))
            raise
        _settle(batch, answers)

    def _note_outage(self, error: Exception) -> None:
        self._away_until = time.monotonic() + _PAUSE_SECONDS
        _log.warning("Redis is away", error=str(error)[:200])


def _settle(batch: Sequence[_Pending], answers: Sequence[object]) -> None:
    for (_, waiting), answer in zip(batch, answers, strict=True):
        if waiting.done():  # the caller was cancelled
            continue
        if isinstance(answer, Exception):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)
