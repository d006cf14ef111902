"""`python -m dev.payment_simulator`."""

from dev.payment_simulator.app import create_app
from dev.payment_simulator.settings import Settings
from dev.service import serve

if __name__ == "__main__":
    settings = Settings.from_environment()
    serve(create_app(settings), settings.port)
