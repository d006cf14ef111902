"""Measurements of what the documentation promises; `make bench-…` runs them."""
