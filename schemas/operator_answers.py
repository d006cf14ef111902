"""One answer of an operator to many orders or parcels that wait for it."""

from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from schemas.base import Open, Payload, Request, Text
from schemas.operator_tasks import OperatorTaskCode

MOST_AT_ONCE = 200


class OperatorAnswer(StrEnum):
    """What is answered: try again, settled by hand, and of a parcel that it was stopped or dispatched."""

    RETRY = "retry"
    BY_HAND = "by_hand"
    STOPPED = "stopped"
    DISPATCHED = "dispatched"


class ParcelOfOrder(Request):
    """A parcel of an order, by its number."""

    order_id: UUID
    parcel: Annotated[int, Field(ge=1, le=10_000)]


class AnswersRequest(Request):
    """`POST /v1/ops/orders/answers`: to these `orders`, to these `parcels`, or to what waits with this `code`.

    To what waits with a code the answer can only be `retry`, which is right for every one of them.
    """

    answer: OperatorAnswer
    reason: Text
    orders: Annotated[list[UUID], Field(min_length=1, max_length=MOST_AT_ONCE)] | None = None
    parcels: Annotated[list[ParcelOfOrder], Field(min_length=1, max_length=MOST_AT_ONCE)] | None = None
    code: Literal[OperatorTaskCode.COMPENSATION_BLOCKED, OperatorTaskCode.PARCEL_UNKNOWN] | None = None
    limit: Annotated[
        int, Field(ge=1, le=MOST_AT_ONCE, description="With `code`: so many, those that have waited longest.")
    ] = 50

    @model_validator(mode="after")
    def _check_named(self) -> Self:
        if sum(named is not None for named in (self.orders, self.parcels, self.code)) != 1:
            raise ValueError("name either orders, or parcels, or a code")
        if self.answer is OperatorAnswer.BY_HAND and self.orders is None:
            raise ValueError("by_hand is an answer to named orders")
        if self.answer in (OperatorAnswer.STOPPED, OperatorAnswer.DISPATCHED) and self.parcels is None:
            raise ValueError(f"{self.answer} is an answer to named parcels")
        return self


class AnswerOutcome(StrEnum):
    """What became of an answer.

    `accepted`: it will be carried out, whatever happens now. `not_answered`: it was not sent in time, or nobody knows
    whether it was accepted; the same answer may be given again.
    """

    DONE = "done"
    ACCEPTED = "accepted"
    NOT_ANSWERED = "not_answered"
    NO_LONGER_WAITING = "no_longer_waiting"
    REFUSED = "refused"


class AnswerGiven(Payload):
    """What became of the answer to an order, or to one of its parcels; `code` and `detail` as in a problem."""

    order_id: str
    parcel: int | None = None
    outcome: Open[AnswerOutcome]
    code: str | None = None
    detail: str | None = None


class AnswersGiven(Payload):
    """What became of each; an empty list when nothing waits with the code."""

    items: list[AnswerGiven]
