"""Picking, for warehouse staff: which parcels wait for it, and what was really there."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.idempotency import Begun
from api.answers import Answer, accepted
from api.deps import Picking, PickStore
from api.errors import problems
from api.idempotency import OnceInWorkflow
from api.permissions import CurrentPrincipal, acting, require
from domain.errors import AlreadyPicked, NotFound
from domain.ids import is_uuid
from schemas.picking import ParcelPicked, PickedLine, PickList, PickParcel, PickPending, PickRequest

router = APIRouter(prefix="/v1/ops", tags=["operations"])
_PICKS = {
    "all there": {"value": {"lines": [{"sku": "PAN-MEA-00118", "quantity": 2}]}},
    "one is missing": {
        "value": {"lines": [{"sku": "PAN-MEA-00118", "quantity": 1}, {"sku": "PAN-MEA-00128-1", "quantity": 0}]}
    },
}
_PENDING: dict[int | str, dict[str, Any]] = {
    202: {"model": PickPending, "description": "Still being recorded; send the same request again"}
}


async def _order_id(order_id: str) -> str:
    if not is_uuid(order_id):
        raise NotFound("There is no such parcel.")
    return order_id


@router.get("/picks", dependencies=[require("parcels:pick")], responses=problems(401, 403, 422, 503))
def list_picks(
    picks: PickStore,
    warehouse: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$", examples=["BER"])] = None,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}-[0-9]{1,9}$")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> PickList:
    """The parcels that wait for their pick, those of the oldest order first.

    Only those of warehouses that ask for it (`pick_required`). Parcels that wait for goods, or whose order is on hold
    or awaits its payment, are not among them.
    """
    after = None
    if cursor is not None:
        number, _, parcel = cursor.partition("-")
        after = (int(number), int(parcel))
    return picks.waiting(after, limit, warehouse)


@router.post(
    "/orders/{order_id}/parcels/{number}/pick",
    dependencies=[require("parcels:pick")],
    response_model=ParcelPicked,
    responses={**_PENDING, **problems(400, 401, 403, 404, 409, 422, 503)},
)
async def confirm_pick(
    order_id: Annotated[str, Depends(_order_id)],
    number: Annotated[int, Path(ge=1, le=10_000)],
    body: Annotated[PickRequest, Body(openapi_examples=_PICKS)],
    asker: CurrentPrincipal,
    picks: PickStore,
    picking: Picking,
    once: OnceInWorkflow,
) -> Response:
    """Say what was really picked for a parcel: each SKU of it, with 0 where none was there.

    The parcel is then booked with the carrier. What is `missing` is cancelled and not charged, and is no longer in
    stock; a parcel of which nothing was there is stopped. The same pick again gets the same answer. 409
    `already_picked` after another one, `pick_mismatch` for other SKUs or more units than the parcel has,
    `parcel_on_hold`, and `parcel_not_waiting` for a parcel that waits for no pick, as one that was cancelled meanwhile.
    """
    lines = [PickedLine(sku=line.sku, quantity=line.quantity) for line in body.lines]
    pick = PickParcel(lines=lines, actor=acting(asker, "parcels:pick"))

    async def confirm(begun: Begun) -> Answer:
        recorded = await run_in_threadpool(picks.get, order_id, number)
        if recorded is None:
            return Answer.showing(await picking.confirm(order_id, number, begun.resource_id, pick))
        if recorded.units != pick.units:
            raise AlreadyPicked(f"Another pick of parcel {number} is recorded already.")
        return Answer.showing(recorded)

    _, answer = await once.answer(f"POST /v1/ops/orders/{order_id}/parcels/{number}/pick", body, confirm)
    if answer is not None:
        return answer.response()
    return accepted(PickPending(order_id=order_id, parcel=number), once.key_of(body))
