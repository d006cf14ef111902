"""The index of products in Elasticsearch, made of what every server has, even one with core modules only.

Such a server has no accent folding, no stemming, no edge n-grams, no `search_as_you_type` and no scripts; so words are
made in `search_words`, for documents and queries alike, and the server only splits them at spaces. Beginnings of words
are kept by the `index_prefixes` of a text field, whole names for completion by the completion suggester.
"""

from typing import Any

from adapters.search.words import fold, spelled, stems
from domain.catalog import ProductStatus
from schemas.search import IndexedProduct

# One more whenever the mapping or the making of documents changes. It is part of the alias, so that during a deploy
# the old release reads and writes its index and the new one its own.
INDEX_VERSION = 3
ALIAS = f"products-v{INDEX_VERSION}"
FACET_SEPARATOR = "\t"

_WORDS = {"type": "text", "analyzer": "whitespace"}
# Found by the beginning of a word as quickly as by a whole one.
_BEGINNINGS = {**_WORDS, "norms": False, "index_prefixes": {"min_chars": 1, "max_chars": 15}}
# Titles are short and about one thing: a word in a long one counts as much, and a repeated word no more.
_TITLE = {**_WORDS, "similarity": "title", "copy_to": "words"}
_STORED = {"type": "keyword", "index": False, "doc_values": False}
_MOST_INPUTS = 5
_LONGEST_INPUT = 60

INDEX_SETTINGS: dict[str, Any] = {
    "number_of_shards": 1,
    "auto_expand_replicas": "0-1",
    # Explicit, because an index without it stops refreshing when nobody has searched it for a while.
    "refresh_interval": "500ms",
    "similarity": {"title": {"type": "BM25", "b": 0.3, "k1": 0.4}},
}
INDEX_MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "code": {"type": "keyword"},
        "status": {"type": "keyword"},
        "numbers": {"type": "keyword", "ignore_above": 100},
        "sku": _STORED,
        "name": _STORED,
        "brand_name": _STORED,
        "category_name": _STORED,
        "image_url": _STORED,
        "name_words": _TITLE,
        "brand_words": _TITLE,
        "category_words": _TITLE,
        "attribute_words": _TITLE,
        "description_words": _WORDS,
        "words": {**_WORDS, "similarity": "title"},
        "spelled": _BEGINNINGS,
        "name_spelled": _BEGINNINGS,
        "brand_spelled": _BEGINNINGS,
        "category_spelled": _BEGINNINGS,
        "brand": {"type": "keyword"},
        "brand_facet": {"type": "keyword"},
        "category": {"type": "keyword"},
        "category_facet": {"type": "keyword"},
        "category_suggested": {"type": "keyword"},
        "prices": {"type": "object", "dynamic": True},
        "in_stock": {"type": "boolean"},
        "popularity": {"type": "integer"},
        "created_at": {"type": "date"},
        "suggest": {"type": "completion", "analyzer": "whitespace", "max_input_length": _LONGEST_INPUT},
    },
}


def document(product: IndexedProduct) -> dict[str, Any]:
    """What is indexed of a product; of one that is not for sale, nothing that completes or corrects what is typed."""
    found: dict[str, Any] = {
        "code": product.code,
        "status": str(product.status),
        "numbers": sorted({number.upper() for number in (product.code, *product.skus, *product.barcodes)}),
        "sku": product.sku,
        "name": product.name,
        "brand_name": product.brand_name,
        "category_name": product.category_name,
        "image_url": product.image_url,
        "name_words": stems(product.name),
        "brand_words": stems(product.brand_name),
        "category_words": stems(" ".join(product.category_names)),
        "attribute_words": stems(" ".join(_attribute_texts(product))),
        "description_words": stems(product.description),
        "brand": [product.brand, product.brand_name],
        "brand_facet": _facet(product.brand, product.brand_name),
        "category": [*product.category_path, *product.category_names],
        "category_facet": [
            _facet(code, name) for code, name in zip(product.category_path, product.category_names, strict=True)
        ],
        "prices": product.prices,
        "in_stock": product.in_stock,
        "popularity": product.popularity,
        "created_at": product.created_at.isoformat(),
    }
    return found | _while_active(product)


def _while_active(product: IndexedProduct) -> dict[str, Any]:
    if product.status is not ProductStatus.ACTIVE or not product.prices:
        return {}
    texts = (product.name, product.brand_name, *product.category_names, *_attribute_texts(product))
    return {
        "spelled": spelled(*texts),
        "name_spelled": spelled(product.name),
        "brand_spelled": spelled(product.brand_name),
        "category_spelled": spelled(product.category_name),
        "category_suggested": _facet(product.category, product.category_name),
        "suggest": {"input": _inputs(product.name), "weight": min(max(product.popularity, 0), 2**31 - 1)},
    }


def _facet(code: str, name: str) -> str:
    return f"{code}{FACET_SEPARATOR}{name}"


def _attribute_texts(product: IndexedProduct) -> list[str]:
    """The attributes as words: values, and the names of those that are true (`waterproof`)."""
    texts: list[str] = list(product.option_values)
    for name, value in product.attributes.items():
        readable = name.replace("_", " ")
        if value is True:
            texts.append(readable)
        elif isinstance(value, list):
            texts += value
        elif value is not False:
            texts.append(f"{readable} {value}" if isinstance(value, int | float) else value)
    return texts


def _inputs(name: str) -> list[str]:
    """A suggestion is found by the beginning of any of its first words, not of the first alone."""
    found = fold(name).split()
    beginnings = [" ".join(found[i:])[:_LONGEST_INPUT] for i in range(min(len(found), _MOST_INPUTS))]
    return list(dict.fromkeys(beginnings)) or ["-"]
