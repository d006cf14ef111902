"""The answer to a request that is carried out once per key, as it is kept and sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.errors import PROBLEM_JSON, HttpProblem, problem_body


@dataclass(frozen=True)
class Made:
    """The answer to a POST: what was made, and where it is."""

    body: BaseModel
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a request and every repeat of it are answered: refusals as well, because they are final."""

    status: int
    body: Any

    @classmethod
    def refusing(cls, problem: HttpProblem, instance: str) -> "Answer":
        """A problem as the answer."""
        return cls(problem.status, problem_body(problem, instance))

    @classmethod
    def showing(cls, view: BaseModel, status: int = 200) -> "Answer":
        """A view as the answer."""
        return cls(status, view.model_dump(mode="json"))

    def response(self, location: str | None = None) -> Response:
        """The answer as it is sent; `location` is where the thing is that a success has made."""
        headers = {"Location": location} if location and self.status < 400 else {}
        media_type = PROBLEM_JSON if self.status >= 400 else "application/json"
        return JSONResponse(self.body, self.status, headers=headers, media_type=media_type)


def accepted(view: BaseModel, key: str) -> JSONResponse:
    """202: the request is still being processed; this is the current state, and the key to ask again with."""
    headers = {"Retry-After": "1", "Idempotency-Key": key}
    return JSONResponse(view.model_dump(mode="json"), 202, headers=headers)
