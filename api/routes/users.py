"""Accounts: registration and one's own profile."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Response
from uuid_utils import uuid7

from api.deps import AccountStore, PasswordService
from api.errors import problems
from api.permissions import CurrentUser, public, require
from schemas.users import Account, RegisterUser, Role, UserView

router = APIRouter(prefix="/v1/users", tags=["identity"])
ME = "/v1/users/me"
_EXAMPLE = {"email": "ada@shop.example", "password": "a long enough secret", "name": "Ada Lovelace"}


@router.post("", status_code=201, dependencies=[public], responses=problems(409, 422, 503))
def register_user(
    new: Annotated[RegisterUser, Body(openapi_examples={"customer": {"value": _EXAMPLE}})],
    response: Response,
    accounts: AccountStore,
    passwords: PasswordService,
) -> UserView:
    """Open a customer's account; sign in at `/oauth2/token`."""
    account = Account(
        id=str(uuid7()),
        email=new.email,
        name=new.name,
        password_hash=passwords.hash(new.password.get_secret_value()),
        roles=[Role.CUSTOMER],
        token_version=1,
        active=True,
        created_at=datetime.now(UTC),
    )
    response.headers["Location"] = ME
    return _view(accounts.create(account))


@router.get("/me", dependencies=[require("profile:read")], responses=problems(401, 503))
def read_own_profile(user: CurrentUser) -> UserView:
    """Who I am."""
    return _view(user)


def _view(account: Account) -> UserView:
    return UserView.model_validate(account.model_dump())
