"""The address book of the signed-in customer."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Response

from api.address_rules import checked
from api.deps import Addresses
from api.errors import problems
from api.permissions import CurrentUser, require
from domain.errors import NotFound
from domain.ids import is_uuid
from schemas.addresses import AddressList, SaveAddress, SavedAddress

router = APIRouter(prefix="/v1/users/me/addresses", tags=["identity"])
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
AddressBody = Annotated[SaveAddress, Body(openapi_examples=_EXAMPLES)]


def _own_address(address_id: str, user: CurrentUser, book: Addresses) -> SavedAddress:
    """Another's address is answered like one that does not exist."""
    if not is_uuid(address_id):
        raise NotFound("There is no such address.")
    return book.get(user.id, address_id)


OwnAddress = Annotated[SavedAddress, Depends(_own_address)]


@router.get("", dependencies=_OWN, responses=problems(401, 403, 503))
def list_own_addresses(user: CurrentUser, book: Addresses) -> AddressList:
    """Your addresses, the default first."""
    return AddressList(items=book.all_of(user.id))


@router.post("", status_code=201, dependencies=_OWN, responses=problems(401, 403, 409, 422, 503))
def add_own_address(body: AddressBody, user: CurrentUser, book: Addresses, response: Response) -> SavedAddress:
    """Save an address; the first one becomes the default. It is checked by the rules of its country."""
    saved = book.add(user.id, checked(body))
    response.headers["Location"] = f"{router.prefix}/{saved.id}"
    return saved


@router.get("/{address_id}", dependencies=_OWN, responses=problems(401, 403, 404, 503))
def read_own_address(address: OwnAddress) -> SavedAddress:
    """One address."""
    return address


@router.put("/{address_id}", dependencies=_OWN, responses=problems(401, 403, 404, 422, 503))
def replace_own_address(body: AddressBody, address: OwnAddress, user: CurrentUser, book: Addresses) -> SavedAddress:
    """Replace an address. It stays the default until another address becomes the default."""
    return book.replace(user.id, address.id, checked(body))


@router.delete("/{address_id}", status_code=204, dependencies=_OWN, responses=problems(401, 403, 404, 503))
def remove_own_address(address: OwnAddress, user: CurrentUser, book: Addresses) -> None:
    """Delete an address; when it was the default, the newest of the others becomes the default."""
    book.remove(user.id, address.id)
