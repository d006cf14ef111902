"""What is invalid in a request, part by part."""

from collections.abc import Sequence

from domain.errors import InvalidRequest
from schemas.base import Payload


class Fault(Payload):
    """One invalid part: where it is (`variants/0/sku`), a stable code, and a sentence."""

    pointer: str
    code: str
    detail: str


class InvalidFields(InvalidRequest):
    """Parts of the request are invalid; `faults` says which and why."""

    code = "invalid_request"

    def __init__(self, faults: Sequence[Fault]) -> None:
        # Pointers begin at the request, as for every other body.
        errors = [fault.model_dump() | {"pointer": f"body/{fault.pointer}"} for fault in faults]
        super().__init__(f"{len(faults)} part(s) of the request are not acceptable.", errors=errors)
        self.faults = faults
