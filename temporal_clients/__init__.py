"""What is asked of workflows from outside them: starts, updates, signals and what became of them."""
