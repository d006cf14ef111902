"""Voucher codes, for staff."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Response

from api.answers import Made
from api.deps import VoucherStore
from api.errors import problems
from api.idempotency import Once
from api.permissions import require
from api.preconditions import ExpectedVersion, version_tag
from domain.errors import CodeTaken
from schemas.vouchers import NewVoucher, VoucherPage, VoucherTerms, VoucherView

router = APIRouter(prefix="/v1/vouchers", tags=["vouchers"], dependencies=[require("vouchers:manage")])
_SPRING = {"kind": "percent", "basis_points": 1000, "max_uses": 500, "max_uses_per_customer": 1}
_NEW = {"ten_percent": {"value": {"code": "SPRING-26", **_SPRING}}}
_TERMS = {"ten_percent": {"value": _SPRING}}


def _voucher(code: str, vouchers: VoucherStore) -> VoucherView:
    return vouchers.get(code.upper() if code.isascii() else "")


# Looked up before the rest of the request is checked, so that 404 comes before what is missing in the request.
ThisVoucher = Annotated[VoucherView, Depends(_voucher)]


@router.post("", status_code=201, response_model=VoucherView, responses=problems(400, 401, 403, 409, 422, 503))
def make_voucher(
    new: Annotated[NewVoucher, Body(openapi_examples=_NEW)], vouchers: VoucherStore, once: Once
) -> Response:
    """Create a voucher code."""

    def make(again: bool) -> Made:
        try:
            made = vouchers.create(new)
        except CodeTaken:
            if not again:
                raise
            made = vouchers.get(new.code)
        return Made(made, {"Location": f"/v1/vouchers/{made.code}", "ETag": version_tag(made.version)})

    return once.make("POST /v1/vouchers", new, make)


@router.get("", responses=problems(401, 403, 422, 503))
def list_vouchers(
    vouchers: VoucherStore,
    cursor: Annotated[str, Query(max_length=40)] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> VoucherPage:
    """All voucher codes, with how often each is used."""
    return vouchers.page(cursor, limit)


@router.get("/{code}", responses=problems(401, 403, 404, 503))
def read_voucher(voucher: ThisVoucher, response: Response) -> VoucherView:
    """One voucher code."""
    response.headers["ETag"] = version_tag(voucher.version)
    return voucher


@router.put("/{code}", responses=problems(400, 401, 403, 404, 409, 412, 422, 428, 503))
def change_voucher(
    voucher: ThisVoucher,
    expected: ExpectedVersion,
    terms: Annotated[VoucherTerms, Body(openapi_examples=_TERMS)],
    vouchers: VoucherStore,
    response: Response,
) -> VoucherView:
    """Change the terms of a code, or deactivate it (`active: false`); orders that already use it keep it."""
    changed = vouchers.change(voucher.code, terms, expected)
    response.headers["ETag"] = version_tag(changed.version)
    return changed
