"""The types of what shared fixtures give."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from schemas.users import Role

# A decoded JSON object. What its members are is asserted, not declared; no other module of the tests needs Any for it.
Json: TypeAlias = dict[str, Any]
Headers: TypeAlias = dict[str, str]

PASSWORD = "correct horse battery staple"  # of every Customer


@dataclass(frozen=True)
class Customer:
    """A registered and logged-in customer."""

    id: str
    email: str
    headers: Headers


class MakeProduct(Protocol):
    """Puts a product on sale with `stock` units per warehouse, answers its SKU; `fields` are those of Product."""

    def __call__(self, stock: dict[str, int] | int = 10, price: int = 1999, **fields: object) -> str: ...


class MakeCustomer(Protocol):
    """Registers a customer and logs them in."""

    def __call__(self) -> Customer: ...


class MakeStaff(Protocol):
    """The headers of a new account that has these roles and no other."""

    def __call__(self, *roles: Role) -> Headers: ...


class PlaceOrder(Protocol):
    """Orders one unit of a new product; answers the order."""

    def __call__(self, customer: Customer) -> Json: ...


class Mailed(Protocol):
    """The text of the newest mail to an address whose subject contains some words; waits until `nth` of them came."""

    def __call__(self, email: str, subject: str, nth: int = 1) -> str: ...
