"""Alembic's folder: one revision per change, expand before contract, because MySQL cannot roll a DDL statement back."""
