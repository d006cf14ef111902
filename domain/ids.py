"""The form of our ids."""

import re

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_uuid(text: str) -> bool:
    """Whether it is a UUID as we write them: lower case, with hyphens."""
    return _UUID.fullmatch(text) is not None
