"""The provider's fees."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fees:
    """A share of each capture and a fixed part of it, and a fixed fee for each dispute; in minor units."""

    basis_points: int = 150
    fixed: int = 25
    dispute: int = 2000

    def of_capture(self, amount: int) -> int:
        """Never more than the amount itself."""
        return min(amount, (amount * self.basis_points + 5000) // 10_000 + self.fixed) if amount else 0

    def of_dispute(self) -> int:
        """The same whatever is disputed."""
        return self.dispute
