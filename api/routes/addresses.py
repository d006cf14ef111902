"""The address book of the signed-in customer."""

import re
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Response

from api.address_rules import checked
from api.deps import Addresses
from api.errors import problems
from api.permissions import CurrentUser, require
from domain.errors import NotFound
from schemas.addresses import AddressList, SaveAddress, SavedAddress

router = APIRouter(prefix="/v1/users/me/addresses", tags=["identity"])
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OWN = [require("addresses:own")]
_EXAMPLES = {
    "berlin": {
        "value": {
            "label": "Home",
            "name": "Ada Lovelace",
            "line1": "Unter den Linden 1",
            "city": "Berlin",
            "postal_code": "10117",
            "country": "DE",
            "is_default": True,
        }
    }
}
Wanted = Annotated[SaveAddress, Body(openapi_examples=_EXAMPLES)]


def _own_address(address_id: str, user: CurrentUser, book: Addresses) -> SavedAddress:
    """Another's address is not told apart from none."""
    if not _UUID.fullmatch(address_id):
        raise NotFound("There is no such address.")
    return book.get(user.id, address_id)


OwnAddress = Annotated[SavedAddress, Depends(_own_address)]


@router.get("", dependencies=_OWN, responses=problems(401, 403, 503))
def list_own_addresses(user: CurrentUser, book: Addresses) -> AddressList:
    """All addresses, the default first."""
    return AddressList(items=book.all_of(user.id))


@router.post("", status_code=201, dependencies=_OWN, responses=problems(401, 403, 409, 422, 503))
def add_own_address(wanted: Wanted, user: CurrentUser, book: Addresses, response: Response) -> SavedAddress:
    """Keep an address; the first one is the default. Checked by the rules of its country."""
    saved = book.add(user.id, checked(wanted))
    response.headers["Location"] = f"{router.prefix}/{saved.id}"
    return saved


@router.get("/{address_id}", dependencies=_OWN, responses=problems(401, 403, 404, 503))
def read_own_address(address: OwnAddress) -> SavedAddress:
    """One address."""
    return address


@router.put("/{address_id}", dependencies=_OWN, responses=problems(401, 403, 404, 422, 503))
def replace_own_address(wanted: Wanted, address: OwnAddress, user: CurrentUser, book: Addresses) -> SavedAddress:
    """Write an address anew. The default stays it until another address becomes it."""
    return book.replace(user.id, address.id, checked(wanted))


@router.delete("/{address_id}", status_code=204, dependencies=_OWN, responses=problems(401, 403, 404, 503))
def remove_own_address(address: OwnAddress, user: CurrentUser, book: Addresses) -> None:
    """Forget an address; when it was the default, the newest of the others is now."""
    book.remove(user.id, address.id)
