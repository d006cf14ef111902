"""`python -m dev.mail`."""

from dev.mail.app import create_app
from dev.mail.settings import Settings
from dev.service import serve

if __name__ == "__main__":
    settings = Settings.from_environment()
    serve(create_app(settings), settings.ui_port)
