"""The HTTP API: what the world may ask of the engine, and in which words it is answered."""
