"""One answer of staff to many orders or parcels that wait for it."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from adapters.mysql.idempotency import Begun
from api.answers import Answer
from api.deps import ManyAnswers
from api.errors import problems
from api.idempotency import OnceInWorkflow
from api.permissions import CurrentPrincipal, acting, require
from schemas.operator_answers import AnswersGiven, AnswersRequest

router = APIRouter(prefix="/v1/ops/orders", tags=["operations"])
_PATH = "/v1/ops/orders/answers"
_ORDER = "01975c5e-7a50-7d3c-9b1e-3f6f0a2b4c5d"
_EXAMPLES = {
    "try all again": {
        "value": {"answer": "retry", "reason": "the carrier's API works again", "code": "parcel_unknown", "limit": 100}
    },
    "these orders": {"value": {"answer": "retry", "reason": "the bank's limit was raised", "orders": [_ORDER]}},
    "these parcels": {
        "value": {
            "answer": "dispatched",
            "reason": "on the driver's list",
            "parcels": [{"order_id": _ORDER, "parcel": 1}],
        }
    },
}


@router.post(
    "/answers",
    dependencies=[require("orders:settle")],
    response_model=AnswersGiven,
    responses=problems(400, 401, 403, 409, 422, 503),
)
async def answer_many_orders(
    body: Annotated[AnswersRequest, Body(openapi_examples=_EXAMPLES)],
    asker: CurrentPrincipal,
    answers: ManyAnswers,
    once: OnceInWorkflow,
) -> Response:
    """Give one answer to many: to these orders, to these parcels, or to whatever has waited longest with a code.

    Each is answered as by `POST /v1/ops/orders/{id}/compensation` or `/parcels/{number}`. The answer lists what became
    of each: `done`, or `accepted` and under way, `refused` with the code of the problem, `no_longer_waiting`, or
    `not_answered` in time, which may be answered again; none fails the others. To what waits with a code only `retry`
    can be answered.
    """
    actor = acting(asker, "orders:settle")

    async def give(begun: Begun) -> Answer:
        return Answer.showing(await answers.give(body, actor, begun.resource_id))

    _, answer = await once.answer(f"POST {_PATH}", body, give)
    assert answer is not None, "what takes longer is an outcome of its own"
    return answer.response()
