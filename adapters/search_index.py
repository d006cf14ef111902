"""How products are laid down in Elasticsearch: what every server has, down to one with core modules only.

Such a server has no accent folding, no edge n-grams and no `search_as_you_type`; so accents are folded here,
in documents and queries alike, and prefixes are left to `match_bool_prefix` and the completion suggester.
"""

import unicodedata
from typing import Any

from schemas.catalog import ProductView

_TEXT = {"type": "text", "analyzer": "simple_words"}

INDEX_SETTINGS: dict[str, Any] = {
    "number_of_shards": 1,
    "auto_expand_replicas": "0-1",
    "analysis": {"analyzer": {"simple_words": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase"]}}},
}
INDEX_MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "sku": {"type": "keyword"},
        "name": {"type": "keyword", "index": False},
        "name_words": {**_TEXT, "copy_to": "words"},
        "brand": {"type": "keyword"},
        "brand_words": {**_TEXT, "copy_to": "words"},
        "category": {"type": "keyword"},
        "category_words": {**_TEXT, "copy_to": "words"},
        "description_words": _TEXT,
        "words": _TEXT,
        "price": {"type": "long"},
        "currency": {"type": "keyword"},
        "in_stock": {"type": "boolean"},
        "popularity": {"type": "integer"},
        "created_at": {"type": "date"},
        "suggest": {"type": "completion", "analyzer": "simple_words"},
    },
}


# Letters that Unicode does not take apart.
_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th"})


def fold(text: str) -> str:
    """The text without accents, lower case: what documents and queries are compared by."""
    return "".join(map(_fold_character, unicodedata.normalize("NFC", text)))


def _fold_character(character: str) -> str:
    decomposed = unicodedata.normalize("NFKD", character.casefold().translate(_LETTERS))
    return "".join(part for part in decomposed if not unicodedata.combining(part))


def restore(original: str, marked: str, marks: tuple[str, str]) -> str | None:
    """Put the marks round words of folded text onto the text as it is written; None where letters do not match up."""
    original = unicodedata.normalize("NFC", original)
    plain = marked.replace(marks[0], "").replace(marks[1], "")
    if len(plain) != len(original):
        return None
    written = iter(original)
    shown, rest = [], marked
    while rest:
        mark = next((mark for mark in marks if rest.startswith(mark)), None)
        shown.append(mark or next(written))
        rest = rest[len(mark or rest[0]) :]
    return "".join(shown)


def document(product: ProductView) -> dict[str, Any]:
    """What is indexed of a product."""
    name = fold(product.name)
    words = name.split()
    return {
        "sku": product.sku,
        "name": product.name,
        "name_words": name,
        "brand": product.brand,
        "brand_words": fold(product.brand),
        "category": product.category,
        "category_words": fold(product.category),
        "description_words": fold(product.description),
        "price": product.price.amount,
        "currency": product.price.currency,
        "in_stock": product.in_stock,
        "popularity": product.popularity,
        "created_at": product.created_at,
        # A suggestion is found by the beginning of any of its first words, not of the first alone.
        "suggest": {
            "input": [" ".join(words[i:])[:50] for i in range(min(len(words), 4))],
            "weight": min(max(product.popularity, 0), 2**31 - 1),
        },
    }
