"""Rows that the Order service writes."""
