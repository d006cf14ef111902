"""OAuth 2: the token endpoint and what clients discover about it. Only what is true is announced."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.clients import FIRST_PARTY_SCOPE
from api.authorization import TOKEN_PATH, TokenCall
from api.deps import AppSettings, Authorization, TokenService
from api.permissions import public
from api.tokens import ALGORITHM
from schemas.users import TokenResponse

router = APIRouter(tags=["identity"])
JWKS_PATH = "/.well-known/jwks.json"
_FORM_FIELDS = {
    "grant_type": {"type": "string", "enum": ["password"]},
    "username": {"type": "string", "examples": ["ada@shop.example"]},
    "password": {"type": "string", "format": "password"},
    "client_id": {"type": "string", "default": "storefront"},
    "scope": {"type": "string", "examples": [FIRST_PARTY_SCOPE]},
}
_FORM = {"type": "object", "required": ["grant_type", "username", "password"], "properties": _FORM_FIELDS}
_ERROR = {"type": "object", "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}}}


@router.post(
    TOKEN_PATH,
    dependencies=[public],
    response_model=TokenResponse,
    responses={400: {"description": "RFC 6749 §5.2", "content": {"application/json": {"schema": _ERROR}}}},
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": _FORM}}}
    },
)
async def issue_token(request: Request, authorization: Authorization) -> Response:
    """Exchange an e-mail address and a password for an access token."""
    fields = (await request.form()).multi_items()
    headers = {"Authorization": value} if (value := request.headers.get("authorization")) else {}
    call = TokenCall([(name, value) for name, value in fields if isinstance(value, str)], headers)
    response: Response = await run_in_threadpool(authorization.create_token_response, call)
    return response


@router.get(JWKS_PATH, dependencies=[public])
def read_jwks(response: Response, tokens: TokenService) -> dict[str, Any]:
    """The public keys our access tokens are signed with."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return tokens.keys.public_jwks()


@router.get("/.well-known/openid-configuration", dependencies=[public])
def read_authorization_server_metadata(settings: AppSettings) -> dict[str, Any]:
    """Where things are and what is supported (RFC 8414)."""
    return {
        "issuer": settings.auth_issuer,
        "token_endpoint": f"{settings.public_url}{TOKEN_PATH}",
        "jwks_uri": f"{settings.public_url}{JWKS_PATH}",
        "grant_types_supported": ["password"],
        "response_types_supported": [],
        "scopes_supported": FIRST_PARTY_SCOPE.split(),
        "token_endpoint_auth_methods_supported": ["none"],
        "access_token_signing_alg_values_supported": [ALGORITHM],
    }
