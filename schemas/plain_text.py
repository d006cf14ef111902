"""Text that people write and that pages, mails and spreadsheets show: plain text without markup or formulas."""

import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StringConstraints
from pydantic_core import PydanticCustomError

# What a browser would parse as a tag, a comment or a declaration; `a < b` and `<3` are none.
_TAG = re.compile(r"<\s*[/!?]?\s*[A-Za-z!-]")
# A spreadsheet evaluates a cell that begins with one of these.
_FORMULA_SIGNS = "=+-@\t\r＝＋－＠"
# Invisible characters that change the direction of the text after them.
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NEVER_SHOWN = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})


def _one_line(value: Any) -> Any:
    """Before anything is stripped, so that a tab at the end is reported."""
    # Everything refused is unprintable, and most text is printable.
    if isinstance(value, str) and not value.isprintable() and any(_is_control(character) for character in value):
        raise PydanticCustomError("control_characters", "Control characters are not allowed.")
    return value


def _lines(value: Any) -> Any:
    if isinstance(value, str):
        value = value.replace("\r\n", "\n")
        _one_line(value.replace("\n", "").replace("\t", ""))
    return value


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _NEVER_SHOWN or character in _TURNS


def _no_html(value: str) -> str:
    if _TAG.search(value):
        raise PydanticCustomError("html", "HTML is not allowed; write plain text.")
    return unicodedata.normalize("NFC", value)


def _no_formula(value: str) -> str:
    if value.startswith(tuple(_FORMULA_SIGNS)):
        raise PydanticCustomError("formula", "It must not begin with = + - @, which a spreadsheet would calculate.")
    return value


def _short(most: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=most)


Name = Annotated[str, _short(200), BeforeValidator(_one_line), AfterValidator(_no_html), AfterValidator(_no_formula)]
"""A name: one line of at most 200 characters."""

Label = Annotated[str, _short(100), BeforeValidator(_one_line), AfterValidator(_no_html), AfterValidator(_no_formula)]
"""A short name: of a brand, a category, an option or an attribute."""

Value = Annotated[str, _short(200), BeforeValidator(_one_line), AfterValidator(_no_html)]
"""One line that is not a name and may begin with a sign, such as `-20 °C`."""

Prose = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=10_000),
    BeforeValidator(_lines),
    AfterValidator(_no_html),
]
"""Several lines of plain text; may be empty."""
