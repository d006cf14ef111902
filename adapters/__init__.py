"""The only code that opens sockets: one class per store or outside system, no Temporal, no FastAPI."""
