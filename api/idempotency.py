"""Idempotency-Key on a POST that makes something: one key, one deed, one answer, however often it is sent."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Header, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from uuid_utils import uuid7

from api.deps import Keys
from api.errors import HttpProblem
from api.permissions import CurrentPrincipal


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


class _Once:
    """Does a deed once per key of this caller.

    A refusal is not kept: nothing was done, so the same key may ask again. Where an earlier request may have done the
    deed and died before it answered, `deed` is told so by `again` and answers with what it finds.
    """

    def __init__(self, keys: Keys, asker: CurrentPrincipal, key: IdempotencyKey) -> None:
        self._keys = keys
        self._principal = asker.name
        self._key = key

    def make(self, route: str, wanted: BaseModel, deed: Callable[[bool], Made]) -> Response:
        """Answer 201 with what `deed(again)` has made, or with what it made for an earlier request with this key."""
        claim = (self._principal, route, self._key)
        fingerprint = hashlib.sha256(wanted.model_dump_json().encode()).hexdigest()
        begun = self._keys.begin(*claim, fingerprint, str(uuid7()))
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


def _created(answer: dict[str, Any]) -> Response:
    return JSONResponse(answer["body"], 201, headers=answer["headers"])
