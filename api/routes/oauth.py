"""OAuth 2 and OpenID Connect: the endpoints clients call, and the metadata by which they find them."""

import base64
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.client_address import client_address
from api.deps import AppSettings, OAuthServer, TokenService
from api.errors import HttpProblem, problems
from api.login_throttle import TooManyAttempts
from api.oauth.metadata import INTROSPECT_PATH, JWKS_PATH, REVOKE_PATH, TOKEN_PATH, USERINFO_PATH, metadata
from api.oauth.requests import OAuthCall
from api.oauth.scopes import SCOPES
from api.permissions import CurrentUser, public, require
from api.tokens import InvalidToken
from schemas.oauth import TokenResponse
from schemas.problem_codes import ProblemCode

router = APIRouter(tags=["identity"])
_TEXT = {"type": "string"}
_TOKEN_FIELDS = {
    "grant_type": {
        "type": "string",
        "enum": ["password", "authorization_code", "refresh_token", "client_credentials"],
    },
    "username": {"type": "string", "examples": ["ada@shop.example"]},
    "password": {"type": "string", "format": "password"},
    "client_id": {"type": "string", "default": "storefront"},
    "client_secret": {"type": "string", "format": "password"},
    "scope": {"type": "string", "examples": [" ".join(SCOPES)]},
    "code": _TEXT,
    "code_verifier": _TEXT,
    "redirect_uri": _TEXT,
    "refresh_token": _TEXT,
}
_SHOWN_FIELDS = {"token": _TEXT, "token_type_hint": {"type": "string", "enum": ["access_token", "refresh_token"]}}
_ERROR = {"type": "object", "properties": {"error": _TEXT, "error_description": _TEXT}}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "RFC 6749 §5.2", "content": {"application/json": {"schema": _ERROR}}},
    401: {"description": "Client authentication failed", "content": {"application/json": {"schema": _ERROR}}},
    429: {"description": "Too many attempts", "content": {"application/json": {"schema": _ERROR}}},
}


def _form(required: list[str], fields: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": fields}
    return {"requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}}


async def read_call(request: Request) -> OAuthCall:
    """The request as the authorization server takes it, its form read."""
    fields = [(name, value) for name, value in (await request.form()).multi_items() if isinstance(value, str)]
    authorization = request.headers.get("authorization")
    if authorization is not None and not _is_text(authorization):
        authorization = "Basic -"  # no client, but no public one either
    return OAuthCall(request.method, request.url.path, fields, authorization, client_address(request))


def _is_text(authorization: str) -> bool:
    """Whether it can be read: Authlib decodes what it is given and does not ask first."""
    try:
        base64.b64decode(authorization.partition(" ")[2]).decode()
    except ValueError:
        return False
    return True


@router.post(
    TOKEN_PATH,
    dependencies=[public],
    response_model=TokenResponse,
    responses=_REFUSALS,
    openapi_extra=_form(["grant_type"], _TOKEN_FIELDS),
)
async def issue_token(request: Request, server: OAuthServer) -> Response:
    """Exchange a password, a code, a refresh token or a client's own secret for tokens."""
    call = await read_call(request)
    try:
        response: Response = await run_in_threadpool(server.create_token_response, call)
    except TooManyAttempts as wait:
        body = {"error": "too_many_attempts", "error_description": str(wait), "retry_after": wait.retry_after}
        return server.handle_response(429, body, list(wait.headers.items()))
    return response


@router.post(REVOKE_PATH, dependencies=[public], responses=_REFUSALS, openapi_extra=_form(["token"], _SHOWN_FIELDS))
async def revoke_token(request: Request, server: OAuthServer) -> Response:
    """End a session: the token sent, and every token of the same sign-in, stop at once (RFC 7009)."""
    response: Response = await run_in_threadpool(
        server.create_endpoint_response, "revocation", await read_call(request)
    )
    return response


@router.post(INTROSPECT_PATH, dependencies=[public], responses=_REFUSALS, openapi_extra=_form(["token"], _SHOWN_FIELDS))
async def introspect_token(request: Request, server: OAuthServer) -> Response:
    """Whether a token is active, and its claims; for confidential clients (RFC 7662)."""
    response: Response = await run_in_threadpool(
        server.create_endpoint_response, "introspection", await read_call(request)
    )
    return response


@router.get(USERINFO_PATH, dependencies=[require("userinfo:read")], responses=problems(401, 403, 503))
def read_userinfo(request: Request, response: Response, user: CurrentUser, tokens: TokenService) -> dict[str, Any]:
    """Claims about the signed-in user, as far as the token's scope allows (OpenID Connect Core §5.3)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        scope = str(tokens.verify(token).get("scope", "")).split() if scheme.lower() == "bearer" else []
    except InvalidToken:  # an API key, which no provider has issued
        scope = []
    if "openid" not in scope:
        challenge = {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="openid"'}
        raise HttpProblem(403, ProblemCode.FORBIDDEN, "The token was not issued for the scope openid.", challenge)
    response.headers["Cache-Control"] = "no-store"
    claims: dict[str, Any] = {"sub": user.id}
    if "profile" in scope:
        claims["name"] = user.name
    if "email" in scope:
        claims |= {"email": user.email, "email_verified": user.email_verified}
    return claims


# OpenID Connect Core §5.3.1 asks for both methods.
router.add_api_route(
    USERINFO_PATH,
    read_userinfo,
    methods=["POST"],
    name="read_userinfo_by_post",
    dependencies=[require("userinfo:read")],
    responses=problems(401, 403, 503),
)


@router.get(JWKS_PATH, dependencies=[public])
def read_jwks(response: Response, tokens: TokenService) -> dict[str, Any]:
    """The public keys our tokens are signed with; two of them during a key rotation."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return tokens.keys.public_jwks()


@router.get("/.well-known/openid-configuration", dependencies=[public])
def read_openid_configuration(settings: AppSettings) -> dict[str, Any]:
    """Endpoints and what is supported (OpenID Connect Discovery)."""
    return metadata(settings)


@router.get("/.well-known/oauth-authorization-server", dependencies=[public])
def read_authorization_server_metadata(settings: AppSettings) -> dict[str, Any]:
    """The same for clients that only speak OAuth 2 (RFC 8414)."""
    return metadata(settings)
