"""Every activity of an order fails in every way, while the order goes on and while its customer cancels it.

`python -m dev.fault_matrix` (`make fault-matrix`) plays all of it on the real servers and keeps docs/fault-matrix.md;
`tests/e2e/test_fault_matrix.py` plays it as a test.
"""
