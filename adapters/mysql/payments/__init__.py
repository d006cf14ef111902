"""Rows that the Payment service writes."""
