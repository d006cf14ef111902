"""What every API request passes: authentication, faults, idempotency, and one transaction around its operation."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from dev.faults import Fault, Faults, Kind
from dev.payment_simulator import wire
from dev.payment_simulator.errors import Answer, ApiError, Json, invalid, server_error
from dev.payment_simulator.events import Call
from dev.payment_simulator.queries import Queries
from dev.payment_simulator.store import Store, new_id
from dev.service import LostConnection

Operation = Callable[[Call], Answer]

DEFAULT_API_VERSION = "2026-10-28.endive"
_REFUSALS: tuple[Kind, ...] = ("400", "401", "403", "429", "fail_before", "timeout_before")


class Gateway:
    """Answers every API request the way Stripe does, or worse when a fault says so."""

    def __init__(self, store: Store, faults: Faults, api_key: str, queries: Queries) -> None:
        self._store = store
        self._faults = faults
        self._api_key = api_key
        self._queries = queries
        self._keys_in_use: set[str] = set()

    async def answer(self, request: Request, name: str, operation: Operation) -> Response:
        """Handle one request from header to answer."""
        request_id = new_id("req")
        try:
            self._authenticate(request)
            call = await _decode(request, name, request_id)
            return await self._admit(call, operation)
        except ApiError as refusal:
            return _response(refusal.answer, request_id, request.headers.get("idempotency-key"))

    def _authenticate(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise ApiError(401, "You did not provide an API key. Provide it in the Authorization header as a Bearer.")
        if not hmac.compare_digest(key.encode(), self._api_key.encode()):
            raise ApiError(401, f"Invalid API Key provided: {key[:7]}****")

    async def _admit(self, call: Call, operation: Operation) -> Response:
        """Faults that refuse the request first, then the answer stored under the key, then the operation itself."""
        order = self._order_of(call)
        if fault := self._faults.take(_REFUSALS, call.operation, order):
            return await _lose(fault) if fault.kind == "timeout_before" else _refused(fault, call)
        if call.key is None:
            return await self._work(call, operation, order)
        if stored := self._replay(call):
            lost = self._faults.take(("timeout_after",), call.operation, order)
            return await _lose(lost) if lost else stored
        if call.key in self._keys_in_use:
            raise _key_in_use(call.key)
        self._keys_in_use.add(call.key)
        try:
            return await self._work(call, operation, order)
        finally:
            self._keys_in_use.discard(call.key)

    def _replay(self, call: Call) -> Response | None:
        stored = self._store.stored_answer(str(call.key))
        if stored is None:
            return None
        if stored["path"] != call.path:
            message = f"Keys for idempotent requests can only be used for the same endpoint ('{stored['path']}')."
            raise ApiError(400, message, type="idempotency_error")
        if stored["fingerprint"] != _fingerprint(call):
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{call.key}' if you meant to execute a different request."
            )
            raise ApiError(400, message, type="idempotency_error")
        headers = {"Idempotent-Replayed": "true", "Original-Request": str(stored["request_id"])}
        return _response(Answer(stored["status"], json.loads(stored["body"])), call.request_id, call.key, headers)

    async def _work(self, call: Call, operation: Operation, order: str | None) -> Response:
        fault = self._faults.take(
            ("latency", "500", "error_after", "unconfirmed", "amount_lowered", "timeout_after"), call.operation, order
        )
        kind = fault.kind if fault else None
        if fault and kind == "latency":
            await self._faults.delay(fault)
        if kind in ("unconfirmed", "amount_lowered"):
            operation = partial(_altered, kind, operation)
        broken = kind in ("500", "error_after", "unconfirmed")
        answer = self._execute(call, operation, skip=kind == "500", break_answer=broken)
        if fault and kind == "timeout_after":
            # The key is free again while the client still waits, because the answer is stored.
            self._keys_in_use.discard(str(call.key))
            return await _lose(fault)
        return _response(answer, call.request_id, call.key)

    def _execute(self, call: Call, operation: Operation, skip: bool, break_answer: bool) -> Answer:
        """Effect, event, journal and stored answer in one transaction: all of them or none."""
        with self._store.database.transaction():
            keep = True
            try:
                with self._store.database.transaction():
                    answer = server_error() if skip else operation(call)
                if "expand" in call.params and answer.status == 200:
                    answer = Answer(200, self._queries.expand(answer.body, call.params["expand"]))
            except ApiError as refusal:
                answer, keep = refusal.answer, refusal.stored
            if break_answer:
                answer, keep = server_error(), True
            if call.key and keep:
                self._store.store_answer(call.key, _fingerprint(call), call.path, answer, call.request_id)
        return answer

    def _order_of(self, call: Call) -> str | None:
        """The order a request is about: from its own metadata, else from the intent it names."""
        metadata = call.params.get("metadata")
        if isinstance(metadata, dict) and "order_id" in metadata:
            return str(metadata["order_id"])
        named = call.target or call.params.get("payment_intent")
        name = named if isinstance(named, str) else None
        if dispute := self._store.find("dispute", name):
            name = dispute["payment_intent"]
        intent = self._store.find("payment_intent", name)
        return None if intent is None else intent["metadata"].get("order_id")


async def _decode(request: Request, name: str, request_id: str) -> Call:
    raw = request.url.query if request.method == "GET" else (await request.body()).decode("utf-8", "replace")
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    if key is not None and not 1 <= len(key) <= 255:
        raise invalid("Idempotency keys are limited to 255 characters in length.")
    return Call(
        operation=name,
        path=request.url.path,
        target=request.path_params.get("id"),
        params=wire.decode_form(parse_qsl(raw, keep_blank_values=True)),
        key=key,
        request_id=request_id,
        api_version=request.headers.get("stripe-version") or DEFAULT_API_VERSION,
    )


def _fingerprint(call: Call) -> str:
    return hashlib.sha256(json.dumps([call.path, call.params], sort_keys=True).encode()).hexdigest()


def _key_in_use(key: str) -> ApiError:
    message = (
        "There is currently another in-progress request using this Stripe Idempotent Key (that probably means you "
        f"submitted twice, and the other request is still going through): {key}. Please try again later."
    )
    return ApiError(409, message, type="idempotency_error", code="idempotency_key_in_use")


def _refused(fault: Fault, call: Call) -> Response:
    if fault.kind == "401":
        raise ApiError(401, "Invalid API Key provided: sk_test****")
    if fault.kind == "403":
        raise ApiError(403, "The provided key does not have the required permissions for this endpoint.")
    if fault.kind == "400":
        error: Json = {"type": "invalid_request_error", "message": "This account may not do that at the moment."}
        return _response(Answer(400, {"error": error}), call.request_id, call.key)
    if fault.kind == "429":
        error = {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many requests."}
        headers = {"Retry-After": str(max(1, round(fault.seconds)))} if fault.seconds else None
        return _response(Answer(429, {"error": error}), call.request_id, call.key, headers)
    error = {"type": "api_error", "message": "The service is unavailable; nothing was done."}
    return _response(Answer(503, {"error": error}), call.request_id, call.key)


def _altered(kind: str, operation: Operation, call: Call) -> Answer:
    """The operation with other parameters than requested."""
    less = str(int(call.params.get("amount", 0)) - 1)
    change = {"confirm": "false"} if kind == "unconfirmed" else {"amount": less}
    return operation(replace(call, params=call.params | change))


async def _lose(fault: Fault) -> Response:
    await asyncio.sleep(fault.seconds)
    return LostConnection()


def _response(answer: Answer, request_id: str, key: str | None, extra: dict[str, str] | None = None) -> Response:
    headers = {"Request-Id": request_id, "Stripe-Version": DEFAULT_API_VERSION, **(extra or {})}
    if key:
        headers["Idempotency-Key"] = key
    return JSONResponse(answer.body, status_code=answer.status, headers=headers)
