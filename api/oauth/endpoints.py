"""Revocation (RFC 7009) and introspection (RFC 7662) of the tokens we issue."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from authlib.oauth2.rfc7009 import RevocationEndpoint  # type: ignore[import-untyped]
from authlib.oauth2.rfc7662 import IntrospectionEndpoint  # type: ignore[import-untyped]

from adapters.mysql.identity.grants import RefreshGrant
from api.oauth.grants import ALL_AUTH_METHODS, SECRET_AUTH_METHODS
from api.tokens import InvalidToken
from domain.events import SecurityEventType


@dataclass(frozen=True)
class IssuedToken:
    """An active token of either kind, with its RFC 7662 claims."""

    client_id: str
    user_id: str
    family_id: str
    claims: dict[str, Any]

    def check_client(self, client: Any) -> bool:
        """Whether it was issued to this client, as Authlib asks for it."""
        return bool(client.get_client_id() == self.client_id)

    def is_expired(self) -> bool:
        """An expired one is not found."""
        return False

    def is_revoked(self) -> bool:
        """A revoked one is not found."""
        return False


def _find(server: Any, token: str) -> IssuedToken | None:
    found = server.grants.refresh_token(token)
    if found is not None and not found[1]:
        return _refresh_token(found[0], server)
    try:
        claims = server.tokens.verify(token)
    except InvalidToken:
        return None
    # Issued before there were families, or not by us: lives out its ten minutes.
    if "fam" not in claims or not server.is_live(claims):
        return None
    shown = {name: claims[name] for name in ("scope", "client_id", "sub", "exp", "iat", "iss", "aud", "jti")}
    return IssuedToken(claims["client_id"], claims["sub"], claims["fam"], {**shown, "token_type": "Bearer"})


def _refresh_token(grant: RefreshGrant, server: Any) -> IssuedToken | None:
    account = server.active_account(grant.user_id)
    if account is None or account.token_version != grant.token_version:
        return None
    shown = {"scope": grant.scope, "client_id": grant.client_id, "sub": grant.user_id, "token_type": "refresh_token"}
    times = {"exp": _seconds(grant.expires_at), "iat": _seconds(grant.issued_at)}
    return IssuedToken(grant.client_id, grant.user_id, grant.family_id, shown | times)


def _seconds(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp())


class Revocation(RevocationEndpoint):  # type: ignore[misc]
    """Ends the whole family, whichever of its tokens is shown: whoever signs out means all of it."""

    CLIENT_AUTH_METHODS = ALL_AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> IssuedToken | None:
        """A token is found without its hint."""
        del token_type_hint
        return _find(self.server, token_string)

    def revoke_token(self, token: IssuedToken, request: Any) -> None:
        """Stop it, at once and everywhere."""
        self.server.revoke_family(token.family_id, SecurityEventType.OAUTH_REVOKED, token.user_id, request.address)


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    """For confidential clients, and only of tokens issued to them: nobody learns about another's."""

    CLIENT_AUTH_METHODS = SECRET_AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> IssuedToken | None:
        """A token is found without its hint."""
        del token_type_hint
        return _find(self.server, token_string)

    def check_permission(self, token: IssuedToken, client: Any, request: Any) -> bool:
        """A resource server of ours (a service account with a role) may ask about every token."""
        del request
        return token.check_client(client) or bool(client.registered.roles)

    def introspect_token(self, token: IssuedToken) -> dict[str, Any]:
        """What the token says."""
        return {"active": True, **token.claims}
