"""A supplier that hears when stock runs low and delivers: it knows the shop by its events and its API alone."""
