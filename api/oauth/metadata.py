"""What clients discover: one description for OpenID Connect Discovery and RFC 8414."""

from typing import Any

from adapters.settings import Settings
from api.oauth.grants import ALL_AUTH_METHODS, SECRET_AUTH_METHODS
from api.oauth.scopes import SCOPES
from api.tokens import ALGORITHM

AUTHORIZE_PATH = "/oauth2/authorize"
TOKEN_PATH = "/oauth2/token"  # noqa: S105 - an address, not a secret
REVOKE_PATH = "/oauth2/revoke"
INTROSPECT_PATH = "/oauth2/introspect"
USERINFO_PATH = "/oauth2/userinfo"
JWKS_PATH = "/.well-known/jwks.json"
_CLAIMS = ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "name", "email", "email_verified"]


def metadata(settings: Settings) -> dict[str, Any]:
    """Where things are and what is supported."""
    here = settings.public_url
    return {
        "issuer": settings.auth_issuer,
        "authorization_endpoint": f"{here}{AUTHORIZE_PATH}",
        "token_endpoint": f"{here}{TOKEN_PATH}",
        "revocation_endpoint": f"{here}{REVOKE_PATH}",
        "introspection_endpoint": f"{here}{INTROSPECT_PATH}",
        "userinfo_endpoint": f"{here}{USERINFO_PATH}",
        "jwks_uri": f"{here}{JWKS_PATH}",
        "service_documentation": f"{here}/docs",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", "password"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": list(ALL_AUTH_METHODS),
        "revocation_endpoint_auth_methods_supported": list(ALL_AUTH_METHODS),
        "introspection_endpoint_auth_methods_supported": list(SECRET_AUTH_METHODS),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "access_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": _CLAIMS,
        "prompt_values_supported": ["none", "login", "consent"],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }
