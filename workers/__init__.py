"""The processes that do the work: Temporal worker, notification consumer, outbox relay, administration."""
