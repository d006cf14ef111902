"""Messages between our own processes tolerate what they do not know; requests from outside do not."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from temporalio import activity, workflow
from temporalio.contrib.pydantic import pydantic_data_converter

import activities
import schemas
from adapters.events import decode, encode
from adapters.mysql.orders.views import order_event, order_summary
from adapters.mysql.outbox import order_outbox
from api.main import ROUTERS
from domain.orders import OrderStatus
from schemas.addresses import ShippingAddress
from schemas.base import Address, Payload, Request, UnknownValue, unknown_values
from schemas.carts import Cart, CartOffer
from schemas.checkout import CheckoutInput
from schemas.disputes import ActionTaken
from schemas.events import Event, OrderStatusChanged, ProductChanged
from schemas.fulfilment import BookShipment, FulfilmentInput, ParcelUpdated
from schemas.notifications import NotificationInput
from schemas.order_requests import Decision
from schemas.orders import OrderView, PlaceOrder, RecordStatus, ShortLine
from schemas.parcels import ParcelLine
from schemas.picking import ParcelPicked
from schemas.search import IndexedProduct
from schemas.security import AccountState
from schemas.stock_upkeep import StockDifference
from workers.runner import WORKFLOWS
from workflows import options

# What is kept as JSON in MySQL, MongoDB, Redis and Elasticsearch and read as one of these by any later release.
STORED = (
    *(Address, ParcelLine, ParcelPicked, ShortLine, ActionTaken, StockDifference),
    *(Cart, CartOffer, AccountState, IndexedProduct),
)
# Forms of browsers and of OAuth's clients, who may send parameters that we do not know (RFC 6749 §3.2).
FORMS = ("/oauth2/", "/account/", "/login")
NEW = "a_value_of_the_next_release"


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"{package.__name__}.{found.name}")


def handlers() -> Iterator[tuple[str, Any]]:
    """Every type that a signal, update or query takes or answers."""
    for served in WORKFLOWS.values():
        for one in served:
            definition = workflow._Definition.must_from_class(one)
            handled = {**definition.signals, **definition.updates, **definition.queries}
            for name, handler in handled.items():
                for carried in [*(getattr(handler, "arg_types", None) or []), getattr(handler, "ret_type", None)]:
                    yield f"{one.__name__}.{name}", carried


def runs() -> Iterator[tuple[str, Any]]:
    for served in WORKFLOWS.values():
        for one in served:
            run = workflow._Definition.must_from_class(one)
            for carried in [*(run.arg_types or []), run.ret_type]:
                yield one.__name__, carried


def commands() -> Iterator[tuple[str, Any]]:
    """Every type that an activity takes or answers."""
    classes = [one for module in modules(activities) for one in vars(module).values() if isinstance(one, type)]
    for method in (method for one in classes for method in vars(one).values() if callable(method)):
        definition = activity._Definition.from_callable(method)
        if definition is not None:
            for carried in [*(definition.arg_types or []), definition.ret_type]:
                yield str(definition.name), carried


def events() -> Iterator[tuple[str, Any]]:
    yield from ((event.__name__, event) for event in Event.__subclasses__())


def stored() -> Iterator[tuple[str, Any]]:
    yield from ((document.__name__, document) for document in STORED)


def routes() -> Iterator[APIRoute]:
    for routers in ROUTERS.values():
        for router in routers:
            yield from (route for route in router.routes if isinstance(route, APIRoute))


def views() -> Iterator[tuple[str, Any]]:
    for route in routes():
        if isinstance(route.response_model, type) and issubclass(route.response_model, Payload):
            yield route.name, route.response_model


def parts(schema: object) -> Iterator[Mapping[str, Any]]:
    """Every part of a pydantic core schema, but for the enum of an open one."""
    if isinstance(schema, Mapping):
        yield schema
        for value in schema.values():
            yield from parts(_closed(value) if schema.get("type") == "union" else value)
    elif isinstance(schema, list | tuple):
        for value in schema:
            yield from parts(value)


def _closed(choices: object) -> object:
    opens = isinstance(choices, list) and any(
        isinstance(choice, Mapping) and choice.get("function", {}).get("function") is UnknownValue for choice in choices
    )
    return [] if opens else choices


def parts_of(carried: Any) -> Iterator[Mapping[str, Any]]:
    return parts(TypeAdapter(carried).core_schema) if carried is not None else iter(())


def strict_in(carried: Any) -> set[str]:
    models = [part["cls"] for kind in ("model", "dataclass") for part in parts_of(carried) if part.get("type") == kind]
    return {
        model.__name__
        for model in models
        if getattr(model, "model_config", getattr(model, "__pydantic_config__", {})).get("extra") == "forbid"
    }


def closed_in(carried: Any) -> set[str]:
    return {part["cls"].__name__ for part in parts_of(carried) if part.get("type") == "enum"}


def test_the_walk_finds_what_is_carried() -> None:
    assert {name for name, _ in runs()} == {one.__name__ for served in WORKFLOWS.values() for one in served}
    taken = {(name, carried) for name, carried in commands()}
    assert {("place_order", PlaceOrder), ("book_shipment", BookShipment), ("send_mail", NotificationInput)} <= taken
    assert {"CheckoutWorkflow.parcel_updated", "CheckoutWorkflow.decide"} <= {name for name, _ in handlers()}
    assert {OrderStatusChanged, ProductChanged} == {carried for _, carried in events()}
    assert OrderView in {carried for _, carried in views()}


def name_of(carriers: Any) -> str:
    return str(carriers.__name__)


@pytest.mark.parametrize("carriers", [handlers, runs, commands, events, stored, views], ids=name_of)
def test_no_message_of_ours_refuses_a_field_it_does_not_know(carriers: Any) -> None:
    strict = {f"{name}: {model}" for name, carried in carriers() for model in strict_in(carried)}
    assert not strict, "carry a Payload, and check the Request where it comes in"


@pytest.mark.parametrize("carriers", [handlers, events, stored, views], ids=name_of)
def test_events_views_signals_and_updates_keep_values_they_do_not_know(carriers: Any) -> None:
    closed = {f"{name}: {enum}" for name, carried in carriers() for enum in closed_in(carried)}
    assert not closed, "write Open[…]; see docs/decisions/0020"


def test_the_walk_would_find_a_strict_type_however_deep_it_sits() -> None:
    class OldAddress(Request):
        name: str

    class OldInput(Payload):
        parcels: dict[str, list[tuple[OldAddress | None, int]]]
        status: list[OrderStatus]

    assert strict_in(OldInput) == {"OldAddress"}
    assert strict_in(list[OldInput] | None) == {"OldAddress"}
    assert closed_in(OldInput) == {"OrderStatus"}
    assert closed_in(ShippingAddress) == set()


def test_bodies_of_requests_refuse_fields_they_do_not_know() -> None:
    tolerant = set()
    for route in routes():
        for body in route.dependant.body_params:
            models = {part["cls"] for part in parts_of(body.field_info.annotation) if part.get("type") == "model"}
            if not route.path.startswith(FORMS):
                tolerant |= {f"{route.path}: {one.__name__}" for one in models if one.model_config["extra"] != "forbid"}
    assert not tolerant


def test_requests_are_strict_and_payloads_tolerant() -> None:
    for module in modules(schemas):
        for model in vars(module).values():
            if isinstance(model, type) and issubclass(model, Request | Payload):
                assert model.model_config["extra"] == ("forbid" if issubclass(model, Request) else "ignore"), model


def test_an_address_with_a_new_field_passes_through_an_older_release() -> None:
    address = {"name": "A", "line1": "B", "city": "C", "postal_code": "12345", "country": "DE", "door_code": "0042"}
    with pytest.raises(ValidationError, match="door_code"):
        ShippingAddress.model_validate(address)
    assert Address.model_validate(address).city == "C"
    for carrier, field in (
        (CheckoutInput, "shipping_address"),
        (FulfilmentInput, "address"),
        (BookShipment, "address"),
    ):
        assert carrier.model_fields[field].annotation is Address


# --- a value of the next release at each door


def row() -> Any:
    moment = datetime(2026, 11, 23, 12, 30)  # noqa: DTZ001 - as a DATETIME column has it
    statuses = {"status": NEW, "payment_status": NEW, "fulfilment_status": NEW}
    known = {"id": "1", "number": 7, "total": 100, "currency": "EUR", "event_id": "e", "order_id": "1", "seq": 3}
    rest = {"type": "order.invented", "actor": "system", "data": {"why": NEW}, "occurred_at": moment}
    return SimpleNamespace(**known, **rest, **statuses, created_at=moment, updated_at=moment)


def test_views_of_rows_show_it_as_it_is() -> None:
    for view in (order_summary(row()), order_event(row())):
        shown = view.model_dump(mode="json")
        assert (shown["status"], shown["payment_status"], shown["fulfilment_status"]) == (NEW, NEW, NEW)
        assert list(unknown_values(view)) == [NEW] * 3


def test_the_relay_publishes_it_and_consumers_read_it() -> None:
    event = order_outbox(cast("Any", None))._message(row())
    sent = encode(event)
    message = SimpleNamespace(
        headers=lambda: list(sent.headers.items()), key=lambda: sent.key, value=lambda: sent.value, topic=lambda: "t"
    )
    read = decode(cast("Any", message), OrderStatusChanged)
    assert read == event
    assert (read.status, read.type) == (NEW, "order.invented")
    assert encode(read).value == sent.value


def test_what_is_known_stays_an_enum() -> None:
    update = ParcelUpdated.model_validate_json('{"number": 1, "status": "delivered"}')
    assert type(update.status).__name__ == "ParcelStatus"
    assert not list(unknown_values(update))
    assert ParcelUpdated.model_json_schema()["properties"]["status"]["$ref"] == "#/$defs/ParcelStatus"


def test_an_account_with_a_new_role_keeps_its_others() -> None:
    state = AccountState.model_validate_json(f'{{"active": true, "token_version": 1, "roles": ["admin", "{NEW}"]}}')
    assert state.roles == ["admin", NEW]
    assert list(unknown_values(state)) == [NEW]


@pytest.mark.parametrize("message", [ParcelUpdated, Decision])
def test_a_signal_or_update_with_it_can_be_read(message: type[BaseModel]) -> None:
    text = f'{{"number": 1, "status": "{NEW}", "choice": "{NEW}", "actor": "customer:1"}}'.encode()
    (payload,) = pydantic_data_converter.payload_converter.to_payloads([{}])
    payload.data = text
    read = pydantic_data_converter.payload_converter.from_payload(payload, message)
    assert list(unknown_values(read)) == [NEW]
    assert NEW in read.model_dump_json()


def test_a_command_with_it_cannot_be_read_and_no_policy_gives_up_on_that() -> None:
    command = {"order_id": "1", "step": "s", "status": NEW, "event_type": "order.invented", "actor": "system"}
    with pytest.raises(ValidationError, match="status"):
        RecordStatus.model_validate(command)
    for name, found in vars(options).items():
        policy = found.get("retry_policy") if isinstance(found, dict) else None
        if policy is not None:
            assert set(policy.non_retryable_error_types or []) <= {"WriteRefused"}, name
            # A step on a store that has failed locally goes on as a regular activity.
            assert policy.maximum_attempts == {"STORE": 4, "STORE_ONCE": 1}.get(name, 0), name
