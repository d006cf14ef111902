"""Business rules: standard library only, no I/O."""
