"""The story of an order, deterministic: no driver, no clock but the workflow's own."""
