"""What needs an operator, of whatever workflow; `GET /v1/ops/orders` shows the same by order."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query

from api.deps import OperatorTasks
from api.errors import problems
from api.permissions import CurrentPrincipal, acting, require
from schemas.operator_tasks import OperatorTaskPage, OperatorTaskView, ResolutionRequest

router = APIRouter(prefix="/v1/ops/tasks", tags=["operations"])
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RESOLUTION = {"refunded": {"value": {"reason": "refunded by bank transfer, see ticket 4711"}}}


@router.get("", dependencies=[require("ops:orders")], responses=problems(401, 403, 422, 503))
def list_operator_tasks(
    tasks: OperatorTasks,
    code: Annotated[str | None, Query(pattern=r"^[a-z_]{1,64}$", examples=["provider_unanswered"])] = None,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,16}-[0-9]{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> OperatorTaskPage:
    """Everything that needs an operator, what has waited longest first, also what belongs to no order."""
    after = None
    if cursor is not None:
        since, _, number = cursor.partition("-")
        after = (_EPOCH + timedelta(microseconds=int(since)), int(number))
    return tasks.page(after, limit, code)


@router.post(
    "/{task_id}/resolve", dependencies=[require("orders:settle")], responses=problems(401, 403, 404, 409, 422, 503)
)
def resolve_operator_task(
    task_id: Annotated[int, Path(ge=1, le=2**62)],
    body: Annotated[ResolutionRequest, Body(openapi_examples=_RESOLUTION)],
    tasks: OperatorTasks,
    asker: CurrentPrincipal,
) -> OperatorTaskView:
    """Say that something was dealt with which outlasts its workflow, such as a refund made another way.

    A repeat changes nothing. 409 `task_resolves_itself` for everything else: that ends with its cause.
    """
    return tasks.resolve(task_id, acting(asker, "orders:settle"), body.reason)
