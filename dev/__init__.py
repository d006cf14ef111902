"""Development services: other people's systems, simulated over their public wire protocols.

Nothing here imports the product and the product imports nothing from here, so that the
simulators stay an independent witness of what the product really did.
"""
