"""What talks to Temporal from outside its workflows: start, signal, update, describe."""
