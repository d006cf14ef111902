"""Rows that the User service writes."""
