"""Requests and clients in the form Authlib's core asks for them."""

from collections import defaultdict
from dataclasses import dataclass

from authlib.oauth2 import OAuth2Request  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Payload  # type: ignore[import-untyped]

from adapters.mysql.identity.oauth_clients import FIRST_PARTY_CLIENT, KnownClient
from api.oauth.scopes import ONLY_WHEN_ASKED

Fields = list[tuple[str, str]]
_WITHOUT_CLIENT = {"password", "refresh_token"}


@dataclass(frozen=True)
class OAuthCall:
    """A request to one of our endpoints, already read: Authlib's core is synchronous."""

    method: str
    path: str
    fields: Fields
    authorization: str | None
    address: str


class _Payload(OAuth2Payload):  # type: ignore[misc]
    def __init__(self, call: OAuthCall) -> None:
        self._data = dict(call.fields)
        # A plain OAuth 2 password client names no client; it speaks for our own storefront.
        if self._data.get("grant_type") in _WITHOUT_CLIENT and call.authorization is None:
            self._data.setdefault("client_id", FIRST_PARTY_CLIENT)
        self._datalist: defaultdict[str, list[str]] = defaultdict(list)
        for name, value in call.fields:
            self._datalist[name].append(value)

    @property
    def data(self) -> dict[str, str]:
        """Each field's last value."""
        return self._data

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        """Each field's values, so that Authlib can refuse one sent twice."""
        return self._datalist


class ServerRequest(OAuth2Request):  # type: ignore[misc]
    """A call in Authlib's form."""

    def __init__(self, call: OAuthCall, public_url: str) -> None:
        # Authlib insists on TLS; what counts is the address the world uses, not the hop behind the gateway.
        headers = {"Authorization": call.authorization} if call.authorization else {}
        super().__init__(call.method, f"{public_url}{call.path}", headers=headers)
        self.payload = _Payload(call)
        self.address = call.address

    @property
    def args(self) -> dict[str, str]:
        """Nothing else is read from the address: a password has no business there."""
        return {}

    @property
    def form(self) -> dict[str, str]:
        """The form's fields."""
        return dict(self.payload.data)


class ServerClient(ClientMixin):  # type: ignore[misc]
    """Authlib's questions to a client, answered from its row."""

    def __init__(self, known: KnownClient) -> None:
        self.registered = known.client
        self._known = known

    def get_client_id(self) -> str:
        """The id it is registered under."""
        return self.registered.client_id

    def get_default_redirect_uri(self) -> None:
        """None: a client always says where its answer goes."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """What was asked for as far as it is allowed, None when nothing of it is; the usual when nothing was asked."""
        allowed = self.registered.scope.split()
        if not scope:
            return " ".join(one for one in allowed if one not in ONLY_WHEN_ASKED)
        return " ".join(one for one in dict.fromkeys(scope.split()) if one in allowed) or None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """The very string that was registered, nothing that merely looks like it."""
        return redirect_uri in self.registered.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether this is its secret."""
        return self._known.has_secret(client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """A public client has no secret to show, and a confidential one always shows it."""
        if method == "none":
            return endpoint != "introspection" and not self.registered.is_confidential
        return self.registered.is_confidential

    def check_response_type(self, response_type: str) -> bool:
        """A code is the only thing that travels through a browser."""
        return response_type == "code" and "authorization_code" in self.registered.grant_types

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether it was registered for this grant."""
        return grant_type in self.registered.grant_types
