"""`python -m dev.carrier_simulator`."""

from dev.carrier_simulator.app import create_app
from dev.carrier_simulator.settings import Settings
from dev.service import serve

if __name__ == "__main__":
    settings = Settings.from_environment()
    serve(create_app(settings), settings.port)
