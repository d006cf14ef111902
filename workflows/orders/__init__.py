"""The order, its parcels and its stock."""
