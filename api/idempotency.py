"""Idempotency-Key on a POST: one key, one deed, one answer, however often it is sent."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import sqlalchemy as sa
import structlog
from fastapi import Depends, Header, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from uuid_utils import uuid7

from adapters.mysql.idempotency import Begun
from api.deps import Keys
from api.errors import PROBLEM_JSON, HttpProblem, problem_body
from api.permissions import CurrentPrincipal
from api.temporal import StillWorking

_log = structlog.get_logger(__name__)


def _idempotency_key(idempotency_key: Annotated[str | None, Header()] = None) -> str:
    if idempotency_key is None:
        raise HttpProblem(400, "idempotency_key_required", "Send an Idempotency-Key, for instance a UUID.")
    key = idempotency_key.strip().removeprefix('"').removesuffix('"')
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise HttpProblem(400, "idempotency_key_invalid", "An Idempotency-Key has 1 to 255 printable characters.")
    return key


IdempotencyKey = Annotated[str, Depends(_idempotency_key)]


@dataclass(frozen=True)
class Made:
    """The answer to a POST: what was made, and where it is."""

    body: BaseModel
    headers: Mapping[str, str] = field(default_factory=dict)


class _Asked:
    """A request of this caller under its key."""

    def __init__(self, keys: Keys, asker: CurrentPrincipal, key: IdempotencyKey) -> None:
        self._keys = keys
        self._principal = asker.name
        self._key = key

    def _claim(self, route: str) -> tuple[str, str, str]:
        return self._principal, route, self._key


class _Once(_Asked):
    """Does a deed once per key of this caller.

    A refusal is not kept: nothing was done, so the same key may ask again. Where an earlier request may have done the
    deed and died before it answered, `deed` is told so by `again` and answers with what it finds.
    """

    def make(self, route: str, wanted: BaseModel, deed: Callable[[bool], Made]) -> Response:
        """Answer 201 with what `deed(again)` has made, or with what it made for an earlier request with this key."""
        claim = self._claim(route)
        begun = self._keys.begin(*claim, _fingerprint(wanted), str(uuid7()))
        if begun.is_answered:
            return _created(begun.response)
        try:
            made = deed(not begun.fresh)
        except Exception:
            self._keys.release(*claim)
            raise
        answer = {"body": made.body.model_dump(mode="json"), "headers": dict(made.headers)}
        self._keys.finish(*claim, 201, answer)
        return _created(answer)


Once = Annotated[_Once, Depends()]


@dataclass(frozen=True)
class Answer:
    """What is told to a request, and to every repeat of it: refusals as well, because the deed was done."""

    status: int
    body: Any

    @classmethod
    def refusing(cls, problem: HttpProblem, instance: str) -> "Answer":
        """A problem as the answer."""
        return cls(problem.status, problem_body(problem, instance))

    def response(self, location: str | None = None) -> Response:
        """The answer as it is sent; `location` is where the thing is that a success has made."""
        headers = {"Location": location} if location and self.status < 400 else {}
        media_type = PROBLEM_JSON if self.status >= 400 else "application/json"
        return JSONResponse(self.body, self.status, headers=headers, media_type=media_type)


class _OnceInWorkflow(_Asked):
    """Has a deed done by a workflow once per key of this caller.

    The deed gets what its claim stands for: an id, the same for every request with this key, by which the workflow
    tells a repeat. An answer that takes too long is not kept: a repeat asks again.
    """

    async def answer(
        self, route: str, wanted: BaseModel, deed: Callable[[Begun], Awaitable[Answer]]
    ) -> tuple[Begun, Answer | None]:
        """The answer to every request with this key, or None when there is none yet."""
        claim = self._claim(route)
        begun = await run_in_threadpool(self._keys.begin, *claim, _fingerprint(wanted), str(uuid7()))
        if begun.status_code is not None:
            return begun, Answer(begun.status_code, begun.response)
        try:
            answer = await deed(begun)
        except StillWorking:
            await run_in_threadpool(self._keys.release, *claim)
            return begun, None
        except Exception:
            await _without_fail(self._keys.release, *claim)
            raise
        await _without_fail(self._keys.finish, *claim, answer.status, answer.body)
        return begun, answer


OnceInWorkflow = Annotated[_OnceInWorkflow, Depends()]


async def _without_fail(deed: Any, *arguments: object) -> None:
    """The deed has its answer; that the key cannot be kept now only means that a repeat asks once more."""
    try:
        await run_in_threadpool(deed, *arguments)
    except sa.exc.SQLAlchemyError as error:
        _log.warning("an idempotency key could not be kept", error=str(error)[:300])


def _fingerprint(wanted: BaseModel) -> str:
    # Without what was not sent: a request means the same after a release that knows one more field.
    return hashlib.sha256(wanted.model_dump_json(exclude_unset=True).encode()).hexdigest()


def _created(answer: dict[str, Any]) -> Response:
    return JSONResponse(answer["body"], 201, headers=answer["headers"])
