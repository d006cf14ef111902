"""Idempotency-Key on a POST: one key, one action, one answer, however often it is sent."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import sqlalchemy as sa
import structlog
from fastapi import Depends, Header, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from uuid_utils import uuid7

from adapters.mysql.idempotency import Begun, IdempotencyKeys
from api.answers import Answer, Made
from api.deps import Keys
from api.errors import HttpProblem, NotAccepted
from api.permissions import CurrentPrincipal
from api.principals import Principal
from schemas.problem_codes import ProblemCode
from temporal_clients.errors import StillWorking, TemporalAway

INVALID_KEY = "An Idempotency-Key has 1 to 255 printable ASCII characters."
_log = structlog.get_logger(__name__)


async def _optional_key(idempotency_key: Annotated[str | None, Header()] = None) -> str | None:
    if idempotency_key is None:
        return None
    key = idempotency_key.strip().removeprefix('"').removesuffix('"')
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise HttpProblem(400, ProblemCode.IDEMPOTENCY_KEY_INVALID, INVALID_KEY)
    return key


async def _idempotency_key(key: Annotated[str | None, Depends(_optional_key)]) -> str:
    if key is None:
        raise HttpProblem(
            400, ProblemCode.IDEMPOTENCY_KEY_REQUIRED, "Send an Idempotency-Key header, for instance a UUID."
        )
    return key


IdempotencyKey = Annotated[str, Depends(_idempotency_key)]


class _Once:
    """Makes something once per key of this caller.

    A refusal is not kept: nothing was made, so the same key may be used again. `make(again=True)` follows an earlier
    request that may have made it and died before it answered: it answers with what it finds.
    """

    def __init__(self, keys: IdempotencyKeys, principal: Principal, key: str) -> None:
        self._keys = keys
        self._principal = principal.name
        self._key = key

    def make(self, route: str, request: BaseModel, make: Callable[[bool], Made]) -> Response:
        """Answer 201 with what `make(again)` has made, or with what it made for an earlier request with this key."""
        claim = (self._principal, route, self._key)
        begun = self._keys.begin(*claim, _fingerprint(request), str(uuid7()))
        if begun.is_answered:
            return _created(begun.response)
        try:
            made = make(not begun.fresh)
        except Exception:
            self._keys.release(*claim)
            raise
        answer = {"body": made.body.model_dump(mode="json"), "headers": dict(made.headers)}
        self._keys.finish(*claim, 201, answer)
        return _created(answer)


async def _once(keys: Keys, principal: CurrentPrincipal, key: IdempotencyKey) -> _Once:
    return _Once(keys, principal, key)


Once = Annotated[_Once, Depends(_once)]


class _OnceInWorkflow:
    """Asks a workflow once per key of this caller.

    `ask` gets what its claim stands for: an id, the same for every request with this key, by which the workflow
    knows a repeat. An answer that takes too long is not kept: a repeat asks again. Without a key of its own the same
    request of the same caller is a repeat.
    """

    def __init__(self, keys: IdempotencyKeys, principal: Principal, key: str | None) -> None:
        self._keys = keys
        self._principal = principal
        self._key = key

    async def answer(
        self, route: str, request: BaseModel, ask: Callable[[Begun], Awaitable[Answer]]
    ) -> tuple[Begun, Answer | None]:
        """The answer to every request with this key, or None when it is under way and there is none yet.

        A problem that names the key to ask again with, when it is not known to be under way.
        """
        fingerprint, key = _fingerprint(request), self.key_of(request)
        claim = (self._principal.name, route, key)
        begun = await run_in_threadpool(self._keys.begin, *claim, fingerprint, str(uuid7()))
        if begun.status_code is not None:
            return begun, Answer(begun.status_code, begun.response)
        try:
            answer = await ask(begun)
        except StillWorking:
            await run_in_threadpool(self._keys.release, *claim)
            return begun, None
        except TemporalAway as error:
            await _try_to(self._keys.release, *claim)
            raise NotAccepted(key) from error
        except Exception:
            await _try_to(self._keys.release, *claim)
            raise
        await _try_to(self._keys.finish, *claim, answer.status, answer.body)
        return begun, answer

    def key_of(self, request: BaseModel) -> str:
        """The key the request counts under."""
        return self._key or f"request:{_fingerprint(request)}"


async def _once_in_workflow(keys: Keys, principal: CurrentPrincipal, key: IdempotencyKey) -> _OnceInWorkflow:
    return _OnceInWorkflow(keys, principal, key)


async def _once_with_any_key(
    keys: Keys, principal: CurrentPrincipal, key: Annotated[str | None, Depends(_optional_key)]
) -> _OnceInWorkflow:
    return _OnceInWorkflow(keys, principal, key)


OnceInWorkflow = Annotated[_OnceInWorkflow, Depends(_once_in_workflow)]
OnceWithAnyKey = Annotated[_OnceInWorkflow, Depends(_once_with_any_key)]


async def _try_to(keep: Any, *arguments: object) -> None:
    """The action has its answer; that the key cannot be kept now only means that a repeat asks once more."""
    try:
        await run_in_threadpool(keep, *arguments)
    except sa.exc.SQLAlchemyError as error:
        _log.warning("an idempotency key could not be kept", error=str(error)[:300])


def _fingerprint(request: BaseModel) -> str:
    # Without what was not sent: a request means the same after a release that knows one more field.
    return hashlib.sha256(request.model_dump_json(exclude_unset=True).encode()).hexdigest()


def _created(answer: dict[str, Any]) -> Response:
    return JSONResponse(answer["body"], 201, headers=answer["headers"])
