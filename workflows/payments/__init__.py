"""Everything that moves or follows money."""
