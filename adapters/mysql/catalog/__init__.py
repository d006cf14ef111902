"""Rows that the Product-Catalog service writes."""
