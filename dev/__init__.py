"""What development needs: servers, simulators of other systems, sample data, the demo, the fault matrix.

The product imports nothing from here. The simulators import nothing of the product, so that what they record of it
is independent evidence.
"""
