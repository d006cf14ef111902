"""The mail catcher: SMTP in, Mailpit's HTTP API and an inbox out."""

import argparse

from dev.mail.app import create_app
from dev.mail.settings import Settings
from dev.service import serve

if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m dev.mail", description=__doc__).parse_args()
    settings = Settings.from_environment()
    serve(create_app(settings), settings.ui_port)
