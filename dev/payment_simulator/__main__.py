"""The payment provider: Stripe's wire API, for development."""

import argparse

from dev.payment_simulator.app import create_app
from dev.payment_simulator.settings import Settings
from dev.service import serve

if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m dev.payment_simulator", description=__doc__).parse_args()
    settings = Settings.from_environment()
    serve(create_app(settings), settings.port)
