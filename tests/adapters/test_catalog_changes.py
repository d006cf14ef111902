"""What nobody edited is announced too: prices that begin or end by themselves, products whose brand was renamed."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from adapters.connections import Connections
from adapters.mysql.catalog.price_changes import PriceChanges
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.catalog.taxonomy import Taxonomy
from adapters.mysql.catalog.taxonomy_changes import TaxonomyChanges
from adapters.mysql.tables.catalog import price_watermark, prices, product_events, taxonomy_changes
from schemas.catalog import Brand, Category, Price, Product, Variant
from schemas.taxonomy import BrandPatch

# Far from the present, where the windows of other tests do not interfere.
START = datetime(2150, 1, 1, tzinfo=UTC)
Window = tuple[int, int | None]


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def put(connections: Connections, *windows: Window, brand: str = "testbrand") -> str:
    """A product whose prices begin and end so many minutes after the start; its code."""
    code = f"DATED-{uuid.uuid4().hex[:12].upper()}"
    costs = [
        Price(amount=100 + n, currency="EUR", valid_from=at(begins), valid_to=None if ends is None else at(ends))
        for n, (begins, ends) in enumerate(windows)
    ]
    moment = datetime.now(UTC)
    product = Product(
        code=code,
        name="Dated",
        brand=brand,
        category="tests",
        variants=[Variant(sku=code, weight_grams=1, prices=costs)],
        created_at=moment,
        updated_at=moment,
    )
    Catalog(connections.engine).put_many([product])
    return code


def look(connections: Connections, until: datetime, limit: int = 500) -> int:
    return PriceChanges(connections.engine).announce(ignore, until, limit)


def ignore(_: int) -> None:
    """Nobody waits for a heartbeat."""


def announced(connections: Connections, code: str, kind: str = "product.price_changed") -> int:
    query = sa.select(sa.func.count()).where(product_events.c.product == code, product_events.c.type == kind)
    with connections.engine.connect() as connection:
        return connection.scalar(query) or 0


class SetMark(Protocol):
    def __call__(self, moment: datetime = START) -> None: ...


@pytest.fixture
def mark(connections: Connections) -> Iterator[SetMark]:
    """Set the watermark, to the start by default, where no other price is; it is put back to now at the end."""

    def set_to(moment: datetime = START) -> None:
        with connections.engine.begin() as connection:
            connection.execute(sa.delete(prices).where(prices.c.valid_from >= at(-60).replace(tzinfo=None)))
            connection.execute(sa.update(price_watermark).values(moment=moment.replace(tzinfo=None), sku=""))

    set_to()
    yield set_to
    set_to(datetime.now(UTC))


def test_a_price_that_begins_and_ends_is_announced_at_each_moment_once(connections: Connections, mark: SetMark) -> None:
    code = put(connections, (-60, None), (10, 20))
    counts = []
    for minute in (5, 10, 10.1, 15, 20, 20.1, 99, 99):
        look(connections, at(minute))
        counts.append(announced(connections, code))
    assert counts == [0, 0, 1, 1, 1, 2, 2, 2]


def test_what_happened_while_nobody_looked_is_announced_once(connections: Connections, mark: SetMark) -> None:
    codes = [put(connections, (n, n + 30)) for n in range(5)]
    later = put(connections, (600, None))
    assert look(connections, at(300)) == 5
    assert [announced(connections, code) for code in codes] == [1] * 5
    assert look(connections, at(300)) == 0
    assert announced(connections, later) == 0


def test_thousands_of_prices_may_begin_at_one_moment(connections: Connections, mark: SetMark) -> None:
    codes = [put(connections, (10, None)) for _ in range(23)]
    signs: list[int] = []
    assert PriceChanges(connections.engine).announce(signs.append, at(20), 10) == 23
    assert signs == [10, 20, 23]
    assert [announced(connections, code) for code in codes] == [1] * 23


def test_two_that_look_at_once_announce_once(connections: Connections, mark: SetMark) -> None:
    codes = [put(connections, (n % 3, None)) for n in range(20)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: look(connections, at(60), 3), range(4)))
    assert [announced(connections, code) for code in codes] == [1] * 20


def test_the_mark_follows_the_clock_when_nobody_says_until_when(connections: Connections, mark: SetMark) -> None:
    moment = datetime.now(UTC)
    mark(moment - timedelta(minutes=1))
    PriceChanges(connections.engine).announce(ignore)
    with connections.engine.connect() as connection:
        reached = connection.scalar(sa.select(price_watermark.c.moment))
    assert reached is not None
    assert timedelta(0) < datetime.now(UTC) - reached.replace(tzinfo=UTC) < timedelta(seconds=30)
    assert reached.replace(tzinfo=UTC) > moment - timedelta(seconds=30)


windows = st.lists(
    st.tuples(st.integers(1, 40), st.none() | st.integers(41, 80)), max_size=3, unique_by=lambda window: window[0]
)


@given(st.lists(windows, min_size=1, max_size=4), st.lists(st.integers(1, 90), max_size=5), st.integers(1, 4))
@examples(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_missed_whenever_it_is_looked(
    connections: Connections, mark: SetMark, histories: list[list[Window]], looks: list[int], limit: int
) -> None:
    mark()
    codes = [put(connections, *history) for history in histories]
    for minute in sorted(looks):
        look(connections, at(minute), limit)
    look(connections, at(100), limit)
    for code, history in zip(codes, histories, strict=True):
        moments = {moment for window in history for moment in window if moment is not None}
        # Moments seen in one look may be announced together; every look that finds some announces.
        edges = [0, *sorted(looks), 100]
        stretches = {next(n for n, edge in enumerate(edges[1:]) if moment < edge) for moment in moments}
        assert len(stretches) <= announced(connections, code) <= len(moments)


def test_a_renamed_brand_is_announced_in_batches_that_resume(connections: Connections) -> None:
    brand = f"b{uuid.uuid4().hex[:12]}"
    taxonomy, announcements = Taxonomy(connections.engine), TaxonomyChanges(connections.engine)
    announcements.announce(ignore)
    taxonomy.ensure([Brand(code=brand, name="Before")], [Category(code="tests", name="Tests")])
    codes = [put(connections, brand=brand) for _ in range(12)]
    taxonomy.change_brand(brand, BrandPatch(name="After"), 1, "staff:x:catalog")
    signs: list[int] = []
    assert announcements.announce(signs.append, 5) == 12
    assert signs == [5, 10, 12]
    assert [announced(connections, code, "product.changed") for code in codes] == [1] * 12
    with connections.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(taxonomy_changes)) == 0


def test_many_work_off_what_was_noted_side_by_side(connections: Connections) -> None:
    brands = [f"b{uuid.uuid4().hex[:12]}" for _ in range(3)]
    taxonomy, announcements = Taxonomy(connections.engine), TaxonomyChanges(connections.engine)
    taxonomy.ensure([Brand(code=brand, name="Before") for brand in brands], [])
    codes = [put(connections, brand=brand) for brand in brands for _ in range(6)]
    for brand in brands:
        taxonomy.change_brand(brand, BrandPatch(name="After"), 1, "staff:x:catalog")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: announcements.announce(ignore, 2), range(4)))
    assert [announced(connections, code, "product.changed") for code in codes] == [1] * 18
