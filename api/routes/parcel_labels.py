"""The label of a parcel, for who packs it."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import RedirectResponse

from api.deps import Orders
from api.errors import problems
from api.permissions import require
from domain.errors import NotFound
from domain.ids import is_uuid

router = APIRouter(prefix="/v1/ops/orders", tags=["operations"])


@router.get(
    "/{order_id}/parcels/{number}/label",
    dependencies=[require("ops:orders")],
    status_code=307,
    response_class=RedirectResponse,
    responses={307: {"description": "The carrier has it at `Location`"}, **problems(401, 403, 404, 422, 503)},
)
def read_label(order_id: str, number: Annotated[int, Path(ge=1, le=10_000)], orders: Orders) -> RedirectResponse:
    """Where the carrier has the label of a parcel, while the parcel is booked; 404 before, and once it is cancelled."""
    order = orders.get(order_id, for_staff=True) if is_uuid(order_id) else None
    shipments = [parcel.shipment for parcel in order.parcels if parcel.number == number] if order else []
    url = next((shipment.label_url for shipment in shipments if shipment), None)
    if url is None:
        raise NotFound("The parcel has no label: it is not booked with the carrier.")
    return RedirectResponse(url, 307, headers={"Cache-Control": "no-store"})
