"""A supplier that delivers when an event says stock runs low; it uses the shop's events and API only."""
