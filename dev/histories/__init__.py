"""Records the histories of workflows that `tests/replay` replays."""
