"""How text becomes the words that documents and queries are compared by.

Done here and not by the server, because one with core modules only can neither fold accents nor take off endings; so
every server finds the same.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from html import escape
from itertools import pairwise

# Letters that Unicode does not take apart.
_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th"})
_WORD = re.compile(r"\d+(?:[.,]\d+)+|\d+(?=[^\W\d_])|[^\W_]+")
_APOSTROPHES = re.compile(r"['’ʼ](?=s\b)|(?<=\w)['’ʼ](?=\w)")
_PLAIN_WORD = re.compile(r"[^\W_]+")
_HYPHENATED = re.compile(r"[^\W_]+(?:-[^\W_]+)+")
_FILLERS = frozenset({"a", "an", "and", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"})
_LONGEST_WORD = 60


def fold(text: str) -> str:
    """The text without accents, lower case."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", text).casefold().translate(_LETTERS))
    return "".join(character for character in plain if not unicodedata.combining(character))


def words(text: str) -> list[str]:
    """The folded words of a text in order; `28cm` is two, `1,5` is `1.5`."""
    plain = _APOSTROPHES.sub("", fold(text))
    return [word.replace(",", ".")[:_LONGEST_WORD] for word in _WORD.findall(plain)]


def query_words(text: str, most: int = 20) -> list[str]:
    """The words of a query; filler words are left out unless there are no others."""
    found = words(text)[:most]
    return [word for word in found if word not in _FILLERS] or found


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The word without the ending of an English plural: `knives` and `knife`, `boxes` and `box` are one."""
    if len(word) < 4 or not word.isalpha():
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for ending, instead, unless in _ENDINGS:
        if word.endswith(ending) and not word.endswith(unless):
            return word[: -len(ending)] + instead
    return word


_IRREGULAR = {"mice": "mouse", "feet": "foot", "teeth": "tooth", "children": "child", "women": "woman"}
_NEVER = ("\0",)
# The first that fits; then what both forms have lost: `knife` → `kniv`, `scarves` → `scarv`.
_ENDINGS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("ves", "v", ("oves", "aves", "eves")),
    ("ife", "iv", _NEVER),
    ("lf", "lv", _NEVER),
    ("rf", "rv", _NEVER),
    ("ies", "y", _NEVER),
    ("sses", "ss", _NEVER),
    ("shes", "sh", _NEVER),
    ("ches", "ch", _NEVER),
    ("xes", "x", _NEVER),
    ("zzes", "zz", _NEVER),
    ("s", "", ("ss", "us", "is")),
)


def stems(text: str) -> str:
    """What is indexed of a text: its stems, and what hyphens hold together also as one word."""
    joined = [part.replace("-", "") for part in _HYPHENATED.findall(_APOSTROPHES.sub("", fold(text)))]
    return " ".join(stem(word) for word in [*words(text), *joined])


def spelled(*texts: str) -> str:
    """The words of texts as they are spelled: for completion and for correction."""
    return " ".join(dict.fromkeys(word for text in texts for word in words(text)))


def pairs(found: list[str]) -> list[str]:
    """Neighbours written as one word: `head phones` may mean `headphones`."""
    return ["".join(pair) for pair in pairwise(found)]


class Marker:
    """Marks, in texts written by others, the words that answer a query."""

    def __init__(self, query: Iterable[str]) -> None:
        self._words = [(word, stem(word)) for word in query]
        self._known: dict[str, bool] = {}  # the names of a page say the same words again and again

    def mark(self, text: str) -> str | None:
        """The text as HTML with the words that answer the query in `<em>`; None when there is none of them."""
        text, shown, place = unicodedata.normalize("NFC", text), [], 0
        for match in _PLAIN_WORD.finditer(text):
            found = match.group()
            answers = self._known.get(found)
            if answers is None:
                answers = self._known[found] = self._answers(fold(found))
            if answers:
                shown += [escape(text[place : match.start()]), "<em>", escape(found), "</em>"]
                place = match.end()
        return "".join([*shown, escape(text[place:])]) if shown else None

    def _answers(self, found: str) -> bool:
        base = stem(found)
        return any(
            base == root or (len(word) > 1 and found.startswith(word)) or _alike(base, root)
            for word, root in self._words
        )


def _alike(word: str, other: str) -> bool:
    """Within as many typos as the index forgives: none in two letters, one in five, two in more."""
    allowed = 0 if len(other) < 3 else 1 if len(other) < 6 else 2
    if not allowed or word[:1] != other[:1] or abs(len(word) - len(other)) > allowed:
        return False
    return _typos(word, other) <= allowed


def _typos(word: str, other: str) -> int:
    """Letters to insert, drop, change or swap with their neighbour to turn one word into the other."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(word, start=1):
        costs = [row]
        for column, against in enumerate(other, start=1):
            cost = min(last[column] + 1, costs[-1] + 1, last[column - 1] + (letter != against))
            if row > 1 and column > 1 and letter == other[column - 2] and word[row - 2] == against:
                cost = min(cost, before[column - 2] + 1)
            costs.append(cost)
        before, last = last, costs
    return last[-1]
