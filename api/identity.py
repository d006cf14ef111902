"""Who makes the request, as dependencies."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer

from api.deps import RequestAuthenticator
from api.errors import HttpProblem
from api.principals import Principal
from api.tokens import InvalidToken
from schemas.problem_codes import ProblemCode

bearer = OAuth2PasswordBearer(tokenUrl="/oauth2/token", auto_error=False)


async def caller_of(request: Request, authenticator: RequestAuthenticator) -> Principal | InvalidToken | None:
    """The caller, None for a guest, and what is wrong with a credential that is no good."""
    return await authenticator.caller_of(request)


Caller = Annotated[Principal | InvalidToken | None, Depends(caller_of)]


async def signed_in(caller: Caller) -> Principal | None:
    """The caller, None for a guest; 401 when the credential is no good."""
    if isinstance(caller, InvalidToken):
        raise invalid_token(caller) from caller
    return caller


SignedIn = Annotated[Principal | None, Depends(signed_in)]


def invalid_token(error: InvalidToken) -> HttpProblem:
    """401 with what is wrong with the credential."""
    challenge = {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{error}"'}
    return HttpProblem(401, ProblemCode.INVALID_TOKEN, str(error), challenge)
