"""The rules that would be true on paper: standard library only, no I/O."""
