"""Who is asking: the bearer of a token, checked against the account as it is now."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer

from api.deps import AccountStore, TokenService
from api.errors import HttpProblem
from api.tokens import InvalidToken
from schemas.users import Account

_bearer = OAuth2PasswordBearer(tokenUrl="/oauth2/token", auto_error=False)


def _signed_in(
    accounts: AccountStore, tokens: TokenService, token: Annotated[str | None, Depends(_bearer)]
) -> Account | None:
    if token is None:
        return None
    try:
        claims = tokens.verify(token)
    except InvalidToken as error:
        raise _invalid_token(str(error)) from error
    account = accounts.by_id(str(claims["sub"]))
    # Asked every time, so that a revoked token, role or account stops at once.
    if account is None or not account.active or account.token_version != claims["tv"]:
        raise _invalid_token("The token has been revoked.")
    return account


def _invalid_token(detail: str) -> HttpProblem:
    challenge = {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{detail}"'}
    return HttpProblem(401, "invalid_token", detail, challenge)


SignedIn = Annotated[Account | None, Depends(_signed_in)]
