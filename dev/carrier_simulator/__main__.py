"""The parcel carrier: an HTTP API with signed webhooks."""

import argparse

from dev.carrier_simulator.app import create_app
from dev.carrier_simulator.settings import Settings
from dev.service import serve

if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m dev.carrier_simulator", description=__doc__).parse_args()
    settings = Settings.from_environment()
    serve(create_app(settings), settings.port)
