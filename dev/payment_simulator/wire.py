"""Stripe's request encoding: forms whose keys nest by brackets, and typed reading of their values."""

import re
from collections.abc import Iterable
from typing import Any

from dev.payment_simulator.errors import Json, invalid

_KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")


def decode_form(pairs: Iterable[tuple[str, str]]) -> Json:
    """Turn `a[b]=1`, `c[]=2` and `d[0]=3` into nested objects and lists of strings."""
    root: Json = {}
    for key, value in pairs:
        found = _KEY.match(key)
        path = [found.group(1), *re.findall(r"\[([^\[\]]*)\]", found.group(2))] if found else [key]
        node = root
        for segment in path[:-1]:
            node = node.setdefault(segment or str(len(node)), {})
            if not isinstance(node, dict):
                raise invalid(f"Invalid object: {key}", param=path[0])
        node[path[-1] or str(len(node))] = value
    return {name: value if name == "metadata" else _lists(value) for name, value in root.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(name.isdigit() for name in value):
        return [_lists(value[name]) for name in sorted(value, key=int)]
    return {name: _lists(inner) for name, inner in value.items()}


def text(params: Json, name: str) -> str | None:
    """A string parameter; Stripe treats an empty one as not set."""
    value = params.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"Invalid string: {name}", param=name)
    return value or None


def required(params: Json, name: str) -> str:
    """A string parameter that must be there."""
    value = text(params, name)
    if value is None:
        raise invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")
    return value


def integer(params: Json, name: str) -> int | None:
    """A whole number, in plain ASCII digits."""
    value = text(params, name)
    if value is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise invalid(f"Invalid integer: {value}", param=name, code="parameter_invalid_integer")
    return int(value)


def flag(params: Json, name: str, default: bool = False) -> bool:
    """A boolean; Stripe accepts just these two words."""
    value = text(params, name)
    if value is None:
        return default
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", param=name)
    return value == "true"


def choice(params: Json, name: str, allowed: tuple[str, ...], default: str | None) -> str | None:
    """One of a few words."""
    value = text(params, name)
    if value is None:
        return default
    if value not in allowed:
        raise invalid(f"Invalid {name}: must be one of {', '.join(allowed)}", param=name)
    return value


def merged_metadata(current: Json, params: Json) -> Json:
    """Stripe's metadata rules: given keys replace, an empty value unsets, an empty whole clears."""
    given = params.get("metadata")
    if given is None:
        return dict(current)
    if given == "":
        return {}
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise invalid("Invalid hash: metadata", param="metadata")
    merged = {name: value for name, value in {**current, **given}.items() if value != ""}
    if len(merged) > 50 or any(len(name) > 40 or len(value) > 500 for name, value in merged.items()):
        raise invalid("Metadata holds at most 50 keys of 40 characters with values of 500.", param="metadata")
    return merged
