"""Where customers sign in to another application with their account here: pages, not JSON."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from api.deps import AuthorizationPages, ClientAddress
from api.oauth.consent import Visit
from api.oauth.metadata import AUTHORIZE_PATH
from api.oauth.server import NO_STORE
from api.permissions import public

router = APIRouter(tags=["identity"])
_QUERY = [
    {"name": name, "in": "query", "required": required, "schema": {"type": "string"}}
    for name, required in {
        "response_type": True,
        "client_id": True,
        "redirect_uri": True,
        "code_challenge": True,
        "code_challenge_method": True,
        "scope": False,
        "state": False,
        "nonce": False,
        "prompt": False,
        "max_age": False,
    }.items()
]


@router.get(AUTHORIZE_PATH, dependencies=[public], response_class=HTMLResponse, openapi_extra={"parameters": _QUERY})
def authorize(request: Request, endpoint: AuthorizationPages, address: ClientAddress) -> Response:
    """Ask the customer to sign in and to consent; the answer goes to the client's redirect URI with a code."""
    return endpoint.answer(Visit(request, request.query_params.multi_items(), {}, address))


@router.post(AUTHORIZE_PATH, dependencies=[public], response_class=HTMLResponse, openapi_extra={"parameters": _QUERY})
async def decide_authorization(request: Request, endpoint: AuthorizationPages, address: ClientAddress) -> Response:
    """Take the customer's answer on our page, or a client's request as a form (OpenID Connect §3.1.2.1)."""
    fields = [(name, value) for name, value in (await request.form()).multi_items() if isinstance(value, str)]
    form = dict(fields)
    if "action" not in form and "client_id" in form and not request.query_params:
        return RedirectResponse(f"{AUTHORIZE_PATH}?{urlencode(fields)}", 303, headers=NO_STORE)
    query = request.query_params.multi_items()
    # A form without any field is still a form: it must not pass for a first visit.
    visit = Visit(request, query, form or {"action": ""}, address)
    return await run_in_threadpool(endpoint.answer, visit)
