"""The supplier: delivers when stock runs low, until SIGTERM or SIGINT."""

import argparse
import logging
import signal
import sys
import threading

from dev.supplier_simulator.settings import Settings
from dev.supplier_simulator.supplier import Supplier


def main() -> None:
    """Deliver until SIGTERM or SIGINT."""
    argparse.ArgumentParser(prog="python -m dev.supplier_simulator", description=__doc__).parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Supplier(Settings.from_environment()).run(stop)


if __name__ == "__main__":
    main()
