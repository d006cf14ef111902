"""What crosses a process boundary: frozen Pydantic messages without behaviour."""
