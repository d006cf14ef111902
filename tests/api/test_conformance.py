"""The conformance script holds against the running API."""

from typing import Any

import pytest

from adapters.settings import Settings
from dev.conformance import main


def test_an_unmodified_client_library_finds_everything(
    api: Any, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(settings) == 0
    assert capsys.readouterr().out.count("✓") >= 14
