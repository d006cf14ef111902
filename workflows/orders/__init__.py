"""The order, what it does with its parcels, and its stock."""
