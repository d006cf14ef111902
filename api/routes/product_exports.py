"""Exports of products, streamed, in the format of an import."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from adapters.mysql.catalog.exports import count_after, names_in_use, product_pages
from api.deps import AppConnections
from api.errors import problems
from api.permissions import require
from api.product_files.writers import write_csv, write_ndjson
from schemas.product_imports import ImportFormat

router = APIRouter(prefix="/v1/products", tags=["catalog"])
_CODE = r"^([A-Z0-9][A-Z0-9._-]{0,63})?$"
_TYPES: dict[str, str] = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The format that `POST /v1/products:import` takes",
        "content": {name.partition(";")[0]: {"schema": {"type": "string"}} for name in _TYPES.values()},
        "headers": {"Product-Count": {"description": "The number of products", "schema": {"type": "integer"}}},
    }
}


@router.get(
    ":export",
    dependencies=[require("products:manage")],
    response_class=StreamingResponse,
    responses={**problems(401, 403, 422, 503), **_FILES},
)
def export_products(
    connections: AppConnections,
    form: Annotated[ImportFormat, Query(alias="format")] = "ndjson",
    after: Annotated[str, Query(max_length=64, pattern=_CODE, description="Only products after this code.")] = "",
) -> StreamingResponse:
    """Export all products in the order of their codes, whatever their status; importing them again changes nothing.

    Each product is shown as it is when its page is read. To continue a download that broke off, pass the last complete
    product as `after`. In CSV, text that a spreadsheet would calculate starts with an apostrophe.
    """
    pages = product_pages(connections.engine, after)
    if form == "ndjson":
        body = write_ndjson(pages)
    else:
        names = names_in_use(connections.engine)
        body = write_csv(pages, names.options, names.currencies, names.attributes)
    headers = {
        "Content-Disposition": f'attachment; filename="products.{form}"',
        "Product-Count": str(count_after(connections.engine, after)),
    }
    return StreamingResponse(body, media_type=_TYPES[form], headers=headers)
