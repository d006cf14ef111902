"""MySQL, the structured truth: one module per noun, each table written by one of them alone."""
