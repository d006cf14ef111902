"""Queries to Elasticsearch for a product search: words to score, choices to filter, counts of other choices."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from adapters.search.index import FACET_SEPARATOR
from adapters.search.words import fold, pairs, query_words, stem
from domain.catalog import ProductStatus
from schemas.search import FacetValue, ProductQuery

Clause = dict[str, Any]
Bucket = dict[str, Any]

_PRICE_STEPS = (0, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000)  # minor units
_MOST_VALUES = 30
# More letters of a number than these are worth looking for other numbers that begin so.
_BEGINNING_OF_A_NUMBER = 4
SHOWN = ["sku", "code", "name", "brand_name", "category_name", "image_url", "in_stock"]


@dataclass(frozen=True)
class Words:
    """What was typed, as it is looked for; `meant` is set once that finds nothing: how its words are spelled."""

    typed: str
    found: list[str]
    meant: list[str] | None = None

    @classmethod
    def of(cls, typed: str, meant: str | None = None) -> "Words":
        """The words of a query."""
        return cls(typed.strip(), query_words(typed), None if meant is None else meant.split())

    @property
    def loose(self) -> bool:
        """Whether typos and missing words are forgiven."""
        return self.meant is not None

    @property
    def stems(self) -> str:
        """As documents hold them."""
        return " ".join(stem(word) for word in self.meant or self.found)


def sorting(query: ProductQuery) -> list[Clause]:
    """The order of hits; the code decides between equals, so that a page ends at one place."""
    price = {"unmapped_type": "long"}
    first: dict[str, Clause] = {
        "relevance": {"_score": {"order": "desc"}},
        "popularity": {"popularity": {"order": "desc"}},
        "price_asc": {f"prices.{query.currency}": {"order": "asc", **price}},
        "price_desc": {f"prices.{query.currency}": {"order": "desc", **price}},
        "newest": {"created_at": {"order": "desc"}},
    }
    return [first[query.order], {"code": {"order": "asc"}}]


def matching(query: ProductQuery, words: Words) -> Clause:
    """What is for sale and says the words, with a score where the order needs one."""
    for_sale = [{"term": {"status": ProductStatus.ACTIVE.value}}, {"exists": {"field": f"prices.{query.currency}"}}]
    if not words.typed:
        return {"bool": {"filter": for_sale}}
    needed = _loosely(words) if words.loose else _strictly(words)
    if query.order != "relevance":
        return {"bool": {"filter": [*for_sale, needed]}}
    scored = {"bool": {"filter": for_sale, "must": [needed], "should": _better(words)}}
    popular = {"field_value_factor": {"field": "popularity", "modifier": "log1p", "factor": 0.02, "missing": 0}}
    return {"function_score": {"query": scored, "functions": [popular], "boost_mode": "sum"}}


def _strictly(words: Words) -> Clause:
    """Every word is there, the last one may be the beginning of a word; or it is a number of ours."""
    ways: list[Clause] = [*_numbers(words.typed)]
    if words.found:
        every = {"query": words.stems, "operator": "and"}
        unfinished = _beginning("spelled", words.found[-1], words.stems.split()[:-1], "words")
        ways += [
            {"match": {"words": every}},
            {"constant_score": {"filter": unfinished, "boost": 0.5}},
            {"constant_score": {"filter": {"match": {"description_words": every}}, "boost": 0.2}},
        ]
    return _any_of(ways)


def _loosely(words: Words) -> Clause:
    """Most of the words are there, give or take a typo, or two neighbours are one word."""
    typos = {"fuzziness": "AUTO", "prefix_length": 1, "minimum_should_match": "2<75%", "max_expansions": 30}
    joined = " ".join(stem(word) for word in pairs(words.found))
    ways: list[Clause] = [{"match": {"spelled": {"query": " ".join(words.found), **typos}}}] if words.found else []
    if words.meant:
        ways.append({"match": {"words": {"query": words.stems, "minimum_should_match": "2<75%"}}})
    if joined:
        ways.append({"match": {"words": {"query": joined, "boost": 2}}})
    return _any_of(ways)


def _numbers(typed: str) -> list[Clause]:
    number = typed.upper()
    ways: list[Clause] = [{"constant_score": {"filter": {"term": {"numbers": number}}, "boost": 100}}]
    if len(number) >= _BEGINNING_OF_A_NUMBER and not any(letter.isspace() for letter in number):
        ways.append({"constant_score": {"filter": {"prefix": {"numbers": number}}, "boost": 10}})
    return ways


def _better(words: Words) -> list[Clause]:
    """What makes one of two that match the better answer."""
    if not words.found:
        return []
    return [
        {"match": {"name_words": {"query": words.stems, "boost": 3}}},
        {"match_phrase": {"name_words": {"query": words.stems, "boost": 2, "slop": 2}}},
        {"match": {"brand_words": {"query": words.stems, "boost": 2}}},
        {"match": {"category_words": {"query": words.stems, "boost": 1.5}}},
        {"match": {"attribute_words": {"query": words.stems, "boost": 1}}},
        {"constant_score": {"filter": {"prefix": {"name_spelled": words.found[-1]}}, "boost": 1}},
        {"term": {"in_stock": {"value": True, "boost": 0.3}}},
    ]


def _beginning(field: str, last: str, before: list[str], words_field: str) -> Clause:
    """The last word is the beginning of a word of the field, those before it are whole words."""
    whole: list[Clause] = [{"term": {words_field: word}} for word in before]
    return {"bool": {"filter": [*whole, {"prefix": {field: last}}]}}


def _any_of(ways: list[Clause]) -> Clause:
    return {"bool": {"should": ways, "minimum_should_match": 1}} if ways else {"match_none": {}}


def choices(query: ProductQuery) -> dict[str, Clause]:
    """The customer's choices, each as a filter by the name of its facet."""
    return {name: chosen for name, facet in _FACETS.items() if (chosen := facet.choice(query)) is not None}


def probing(words: Words) -> dict[str, Clause]:
    """How much the words found whatever the choices keep of it, and how much there is of what they may have meant."""
    probes: dict[str, Clause] = {"matched": {"filter": {"match_all": {}}}}
    if words.meant:
        probes["meant"] = {"filter": _strictly(Words.of(" ".join(words.meant)))}
    return probes


def counting(query: ProductQuery) -> dict[str, Clause]:
    """For each facet, what choosing another of its values would give: all other choices kept, its own left out."""
    made = choices(query)
    counts: dict[str, Clause] = {}
    for name, facet in _FACETS.items():
        others = [clause for other, clause in made.items() if other != name]
        values = facet.values(query.currency)
        counts[name] = {"filter": {"bool": {"filter": others}}, "aggs": {"values": values}} if others else values
    return counts


def counted(answer: dict[str, Any]) -> dict[str, list[FacetValue]]:
    """The counts as they are shown; what nothing has is left out."""
    return {
        name: [
            FacetValue(value=value, label=label, count=bucket["doc_count"])
            for bucket in answer[name].get("values", answer[name])["buckets"]
            if bucket["doc_count"]
            for value, label in [facet.shown(bucket)]
        ]
        for name, facet in _FACETS.items()
    }


@dataclass(frozen=True)
class _Facet:
    """What searches can be narrowed by: the filter of a choice, the aggregation of its values by currency, and the
    value and label of a bucket.
    """

    choice: Callable[[ProductQuery], Clause | None]
    values: Callable[[str], Clause]
    shown: Callable[[Bucket], tuple[str, str]]


def _term(field: str) -> Callable[[ProductQuery], Clause | None]:
    def choice(query: ProductQuery) -> Clause | None:
        value = getattr(query, field)
        return None if value is None else {"term": {field: value}}

    return choice


def _price_range(query: ProductQuery) -> Clause | None:
    ends = {"gte": query.min_price, "lte": query.max_price}
    chosen = {name: end for name, end in ends.items() if end is not None}
    return {"range": {f"prices.{query.currency}": chosen}} if chosen else None


def _price_spans(currency: str) -> Clause:
    spans = [{"from": low, "to": high} for low, high in pairwise(_PRICE_STEPS)] + [{"from": _PRICE_STEPS[-1]}]
    return {"range": {"field": f"prices.{currency}", "ranges": spans}}


def _span(bucket: Bucket) -> tuple[str, str]:
    low = int(bucket["from"])
    if "to" not in bucket:
        return f"{low}-", f"{low // 100} and more"
    return f"{low}-{int(bucket['to']) - 1}", f"{low // 100} – {int(bucket['to']) // 100}"


def _code_and_name(bucket: Bucket) -> tuple[str, str]:
    code, _, name = bucket["key"].partition(FACET_SEPARATOR)
    return code, name


def _availability(bucket: Bucket) -> tuple[str, str]:
    value = bucket["key_as_string"]
    return value, {"true": "In stock", "false": "Sold out"}[value]


_FACETS = {
    "brand": _Facet(
        _term("brand"), lambda _: {"terms": {"field": "brand_facet", "size": _MOST_VALUES}}, _code_and_name
    ),
    "category": _Facet(
        _term("category"), lambda _: {"terms": {"field": "category_facet", "size": _MOST_VALUES}}, _code_and_name
    ),
    "price": _Facet(_price_range, _price_spans, _span),
    "in_stock": _Facet(_term("in_stock"), lambda _: {"terms": {"field": "in_stock", "size": 2}}, _availability),
}


def completing(typed: str, most: int) -> dict[str, Any]:
    """Names of products that begin so at one of their first words."""
    names = {"field": "suggest", "size": most, "skip_duplicates": True}
    return {
        "suggest": {"names": {"prefix": " ".join(fold(typed).split()), "completion": names}},
        "source_includes": ["name"],
        "size": 0,
    }


def forgiving(request: dict[str, Any]) -> dict[str, Any]:
    """The same completion, small typos forgiven."""
    names = request["suggest"]["names"]
    fuzzy = names["completion"] | {"fuzzy": {"fuzziness": "AUTO"}}
    return request | {"suggest": {"names": names | {"completion": fuzzy}}}


def taxonomy_beginning(typed: str, most: int) -> dict[str, Any]:
    """The brands and the categories whose name has the words typed, the last perhaps unfinished."""
    found = query_words(typed)
    if not found:
        return {}
    begins = {
        kind: _beginning(f"{kind}_spelled", found[-1], found[:-1], f"{kind}_spelled") for kind in ("brand", "category")
    }
    fields = {"brand": "brand_facet", "category": "category_suggested"}
    return {
        "query": _any_of(list(begins.values())),
        "track_total_hits": False,
        "aggregations": {
            kind: {"filter": begin, "aggs": {"values": {"terms": {"field": fields[kind], "size": most}}}}
            for kind, begin in begins.items()
        },
    }


def correcting(words: Words) -> dict[str, Any] | None:
    """For each word that no product has, those that are spelled like it."""
    if not words.found:
        return None
    close = {"field": "spelled", "suggest_mode": "missing", "prefix_length": 1, "min_word_length": 3, "size": 1}
    return {"words": {"text": " ".join(words.found), "term": close}}


def corrected(words: Words, suggestions: dict[str, Any]) -> str:
    """The query as it was probably meant: a word that no product has replaced by one like it; empty when there is none.

    It may have been the word of a deleted product, so it still has to be tried.
    """
    options = {entry["text"]: entry["options"] for entry in suggestions.get("words", [])}
    meant = [options[word][0]["text"] if options.get(word) else word for word in words.found]
    return " ".join(meant) if meant != words.found else ""
