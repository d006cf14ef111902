"""The parcels: FulfilmentWorkflow, and the pieces that it is made of."""
