"""ETags: a reader fetches only what has changed, an editor changes only the version it has read."""

import hashlib
import re
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from api.errors import HttpProblem
from schemas.problem_codes import ProblemCode

# The version, and for what shows more than the version covers a digest behind it: "3" or "3-0f1e2d3c".
_TAG = re.compile(r'(?:W/)?"(\d{1,9})(?:-[0-9a-f]+)?"')
ANY_VERSION = None


def _expected_version(if_match: Annotated[str | None, Header()] = None) -> int | None:
    if if_match is None:
        detail = 'Send If-Match with the ETag of the version you have read, or "*" for any version.'
        raise HttpProblem(428, ProblemCode.PRECONDITION_REQUIRED, detail)
    if if_match.strip() == "*":
        return ANY_VERSION
    tag = _TAG.fullmatch(if_match.strip())
    if tag is None:
        raise HttpProblem(400, ProblemCode.INVALID_IF_MATCH, 'If-Match takes one ETag of this API, for instance "3".')
    return int(tag[1])


ExpectedVersion = Annotated[int | None, Depends(_expected_version)]
"""The version the editor has seen; an edit must not fail because a price began or units were sold meanwhile."""


def version_tag(version: int) -> str:
    """The ETag of what is all covered by its version."""
    return f'"{version}"'


def content_tag(body: str, version: int = 0) -> str:
    """The ETag of a body that also changes without its version, or has none."""
    return f'"{version}-{hashlib.sha256(body.encode()).hexdigest()[:16]}"'


def tagged(request: Request, view: BaseModel, version: int = 0) -> Response:
    """The view with its ETag, or 304 when the reader has it already."""
    body = view.model_dump_json()
    headers = {"ETag": content_tag(body, version), "Vary": "Authorization"}
    if "authorization" not in request.headers:  # what staff sees is kept nowhere
        headers["Cache-Control"] = "no-cache"
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if headers["ETag"] in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "Not changed since the ETag in If-None-Match"}}
