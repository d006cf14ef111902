"""Product search for customers, and the rebuilding of its index for staff."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from api.deps import Search, SearchPool, Temporal
from api.errors import problems
from api.permissions import public, require
from domain.errors import NotFound
from schemas.reindex import ReindexStatus
from schemas.search import ProductPage, ProductQuery, Suggestions
from temporal_clients.catalog import reindex_status, start_reindex

router = APIRouter(prefix="/v1/products", tags=["catalog"])
_REINDEX = "/v1/products:reindex"


@router.get("", dependencies=[public], responses=problems(422, 503))
async def search_products(
    query: Annotated[ProductQuery, Query()], search: Search, threads: SearchPool, response: Response
) -> ProductPage:
    """Search products; facets count the results of each other choice."""
    page, took = await threads.ask(search.timed_search, query)
    response.headers["Server-Timing"] = f"elasticsearch;dur={took}"
    return page


@router.get("/suggest", dependencies=[public], responses=problems(422, 503))
async def suggest_products(
    q: Annotated[str, Query(min_length=1, max_length=50, examples=["coff"])],
    search: Search,
    threads: SearchPool,
    response: Response,
) -> Suggestions:
    """Names of products, brands and categories that complete the text."""
    found, took = await threads.ask(search.timed_suggest, q)
    response.headers["Server-Timing"] = f"elasticsearch;dur={took}"
    return found


@router.post(
    ":reindex",
    status_code=202,
    dependencies=[require("products:manage")],
    response_model=ReindexStatus,
    responses=problems(401, 403, 503),
)
async def reindex_products(temporal: Temporal) -> JSONResponse:
    """Rebuild the search index from MySQL while it stays in use; joins a rebuild that runs. GET shows the progress."""
    status = await start_reindex(temporal, "products")
    return JSONResponse(status.model_dump(mode="json"), 202, headers={"Location": _REINDEX, "Retry-After": "2"})


@router.get(":reindex", dependencies=[require("products:manage")], responses=problems(401, 403, 404, 503))
async def read_reindex(temporal: Temporal) -> ReindexStatus:
    """The progress of the rebuild, or the result of the last one."""
    status = await reindex_status(temporal, "products")
    if status is None:
        raise NotFound("There has been no rebuild recently.")
    return status
