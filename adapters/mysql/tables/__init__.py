"""Every table, by the service that owns it."""
