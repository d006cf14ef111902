"""An order whose own data cannot be stored ends at once; a mistake of ours ends none, and is shown."""

import asyncio

import sqlalchemy as sa
from temporalio.client import Client

from adapters.connections import Connections
from domain.errors import InvalidData
from domain.orders import OrderStatus
from schemas.checkout import CheckoutOutcome
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Place
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import current_details, until_async, until_details
from workflows.stores import MISTAKE_NEEDS_OPERATOR_AFTER


async def test_a_name_and_an_option_that_are_too_long_together_are_sold(
    place: Place, make_product: MakeProduct, connections: Connections
) -> None:
    sku = make_product(stock=5, name="n" * 150)
    with connections.engine.begin() as connection:
        connection.execute(sa.text("UPDATE products SET options = '[\"size\"]' WHERE code = :sku"), {"sku": sku})
        options = f'{{"size": "{"o" * 49}"}}'
        connection.execute(sa.text("UPDATE variants SET options = :o WHERE sku = :sku"), {"o": options, "sku": sku})
    order = await place({sku: 1})
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    assert [line.name for line in order.view().lines] == [f"{'n' * 150}, {'o' * 47}…"]


async def test_what_cannot_be_stored_is_an_answer(place: Place, make_product: MakeProduct) -> None:
    orders = [await place({make_product(stock=5): 1}, email=f"{'e' * 300}@example.com") for _ in range(4)]
    answers = await asyncio.gather(*(order.first_answer() for order in orders))
    assert {answer.code for answer in answers} == {InvalidData.code}
    for order in orders:
        result = await order.handle.result()
        assert (result.status, result.reason) == (OrderStatus.FAILED, InvalidData.code)
        assert (order.reserved(), order.available()) == (0, 5)


async def test_a_column_that_a_release_has_yet_to_bring_ends_no_order(
    place: Place, make_product: MakeProduct, skipping: Client, connections: Connections
) -> None:
    rename = "ALTER TABLE order_lines RENAME COLUMN {} TO {}"
    with connections.engine.begin() as connection:
        connection.exec_driver_sql(rename.format("weight_grams", "weight"))
    try:
        order = await place({make_product(stock=5): 1})

        async def goes_on_as_a_regular_activity() -> bool:
            events = (await order.handle.fetch_history()).events
            return any(event.HasField("activity_task_scheduled_event_attributes") for event in events)

        await until_async(goes_on_as_a_regular_activity)
        await skip(skipping, 2 * MISTAKE_NEEDS_OPERATOR_AFTER)
        await until_details(order.handle, "**needs operator:** place the order and reserve its stock: it fails (")
    finally:
        with connections.engine.begin() as connection:
            connection.exec_driver_sql(rename.format("weight", "weight_grams"))
    await skip(skipping, 2 * MISTAKE_NEEDS_OPERATOR_AFTER)
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    assert "needs operator" not in await current_details(order.handle)
