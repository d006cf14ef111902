"""Carts in MongoDB, and what Redis caches of them."""
