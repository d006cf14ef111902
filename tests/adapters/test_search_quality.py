"""Relevance cannot rot silently: the judged queries have a floor, and a changed layout has a new version."""

import hashlib
import json
import statistics

import pytest

from adapters.connections import Connections
from adapters.search.index import INDEX_MAPPING, INDEX_SETTINGS, INDEX_VERSION
from bench.judgements import JUDGED, judge
from bench.search_quality import Scores, ndcg, sample_index, scores

FLOOR = 0.94
FLOOR_OF_A_KIND = 0.75


@pytest.fixture(scope="module")
def measured(connections: Connections) -> Scores:
    with sample_index(connections.elasticsearch) as search:
        return scores(search)


def test_judged_queries_are_answered_well(measured: Scores) -> None:
    assert statistics.fmean(score for _, _, score in measured) >= FLOOR
    kinds = {kind: [score for one, _, score in measured if one == kind] for kind, _, _ in measured}
    poor = {kind: statistics.fmean(found) for kind, found in kinds.items() if statistics.fmean(found) < FLOOR_OF_A_KIND}
    assert poor == {}


def test_the_written_judgements_are_those_of_the_rules() -> None:
    """`python -m bench.judgements` writes them again."""
    assert json.loads(JUDGED.read_text()) == judge()


def test_the_measure_prefers_the_better_order() -> None:
    assert ndcg([3, 2, 1], [1, 2, 3]) == 1
    assert ndcg([1, 2, 3], [1, 2, 3]) < ndcg([3, 1, 2], [1, 2, 3]) < 1
    assert ndcg([], [3]) == 0


def test_a_changed_layout_has_a_new_version() -> None:
    """With every change of the mapping, or of what documents contain, raise INDEX_VERSION and write the digest here."""
    layout = json.dumps([INDEX_SETTINGS, INDEX_MAPPING], sort_keys=True).encode()
    assert (INDEX_VERSION, hashlib.sha256(layout).hexdigest()[:12]) == (3, "71a4a77b6da7")
