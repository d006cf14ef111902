"""How our own processes call the API: signed in as a service account, with a token fetched when it is needed."""

from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import OAuth2Client  # type: ignore[import-untyped]

from adapters.settings import Settings
from workers.service_accounts import ServiceAccount

_SECONDS = 30.0
# Long expired, so that the first request fetches one.
_NO_TOKEN = {"access_token": "none yet", "token_type": "Bearer", "expires_at": 1}


class ServiceAccountRefused(Exception):
    """There is no token for the account; the message is for a person and says what to do next."""


def service_client(settings: Settings, account: ServiceAccount, **options: Any) -> "ServiceClient":
    """A client of the API that is signed in as the account; `options` are httpx2.Client's.

    Raises ServiceAccountRefused when the account's secret is not set.
    """
    secret = account.secret(settings)
    if secret is None:
        raise ServiceAccountRefused(f"{account.variable} is not set; set it and run `order-admin setup`.")
    base_url = (settings.api_url or settings.public_url).rstrip("/")
    return ServiceClient(account, secret, base_url, **options)


class ServiceClient(OAuth2Client):  # type: ignore[misc]
    """An httpx2 client for paths of the API; use it as a context manager.

    Authlib holds the token until a minute before it expires. One that the API refuses earlier, with 401, is replaced
    and the request sent once more, so give a body that can be sent twice. Every request may raise
    ServiceAccountRefused, and httpx2.HTTPError when the API is away; other answers are the caller's to read.
    """

    def __init__(self, account: ServiceAccount, secret: str, base_url: str, **options: Any) -> None:
        super().__init__(
            client_id=account.client.client_id,
            client_secret=secret,
            grant_type="client_credentials",
            token_endpoint=f"{base_url}/oauth2/token",
            token=_NO_TOKEN,
            **({"base_url": base_url, "timeout": _SECONDS} | options),
        )
        self._account = account
        self.register_compliance_hook("access_token_response", _answered)

    def request(self, method: str, url: Any, *args: Any, **kwargs: Any) -> httpx2.Response:
        """Send a request with the token, and with a new one when that is refused."""
        answer: httpx2.Response = super().request(method, url, *args, **kwargs)
        # Authlib's own request for a token brings its credentials along.
        signed_in = kwargs.get("auth", httpx2.USE_CLIENT_DEFAULT) is httpx2.USE_CLIENT_DEFAULT
        if answer.status_code == httpx2.codes.UNAUTHORIZED and signed_in:
            self.fetch_token()
            answer = super().request(method, url, *args, **kwargs)
        return answer

    def fetch_token(self, *args: Any, **kwargs: Any) -> Any:
        """Sign in; raises ServiceAccountRefused."""
        try:
            return super().fetch_token(*args, **kwargs)
        except OAuthError as error:
            name = self._account.client.client_id
            advice = f"Is {self._account.variable} the one that `order-admin setup` was run with?"
            raise ServiceAccountRefused(f"The API gives {name} no token: {error}. {advice}") from error


def _answered(answer: httpx2.Response) -> httpx2.Response:
    """Authlib takes any JSON for a token, so what is no answer of RFC 6749 §5, such as 429, is raised before."""
    if answer.status_code not in (200, 400, 401):
        answer.raise_for_status()
    return answer
