"""What crosses a boundary: frozen Pydantic messages without behaviour."""
