"""The carrier as a test of workflows drives and sees it."""

from dataclasses import dataclass

import httpx2

from tests.fixture_types import Json
from tests.workflows.waiting import until


@dataclass(frozen=True)
class CarrierControl:
    """The simulator's controls, and its own view of an order's shipments."""

    address: str

    def statuses(self, order_id: str, parcel: int = 1) -> list[str]:
        """The statuses of a parcel's shipments, the oldest first."""
        return [str(one["status"]) for one in self._shipments(order_id, parcel)]

    def destinations(self, order_id: str, parcel: int = 1) -> list[Json]:
        """Where a parcel's shipments go, the oldest first."""
        return [one["ship_to"] for one in self._shipments(order_id, parcel)]

    def rates(self, order_id: str, parcel: int = 1) -> list[Json]:
        """What a parcel's shipments were booked by, the oldest first."""
        return [one["rate"] for one in self._shipments(order_id, parcel)]

    async def booked(self, order_id: str, *parcels: int) -> None:
        await until(lambda: all(self.statuses(order_id, parcel) for parcel in parcels or (1,)))

    def advance(self, order_id: str, status: str, parcel: int = 1) -> None:
        """The carrier moves the parcel on; nobody here listens to its webhooks."""
        name = self._shipments(order_id, parcel)[-1]["id"]
        httpx2.post(f"{self.address}/_control/shipments/{name}/advance", json={"to": status}).raise_for_status()

    def unclear(self, order_id: str, parcel: int = 1) -> None:
        """The carrier answers nothing about this parcel any more."""
        for operation in ("cancel", "find", "retrieve"):
            self.arm("fail_before", match={"operation": operation, "reference": f"{order_id}-{parcel}"})

    def arm(self, kind: str, *, match: dict[str, str], **more: object) -> None:
        """The requests that match go wrong like this: all of them, or the first `times`."""
        fault = {"kind": kind, "times": 100_000, "match": match, **more}
        httpx2.post(f"{self.address}/_control/faults", json=fault).raise_for_status()

    async def struck(self, times: int = 1) -> None:
        """Wait until what is armed has met so many requests."""
        await until(lambda: self._hits() >= times)

    def end_faults(self) -> None:
        httpx2.delete(f"{self.address}/_control/faults").raise_for_status()

    def _hits(self) -> int:
        armed = httpx2.get(f"{self.address}/_control/faults").raise_for_status().json()
        return sum(int(fault["hits"]) for fault in armed)

    def _shipments(self, order_id: str, parcel: int) -> list[Json]:
        answer = httpx2.get(f"{self.address}/_ledger", params={"reference": f"{order_id}-{parcel}"})
        newest_first: list[Json] = answer.raise_for_status().json()["data"]
        return newest_first[::-1]
