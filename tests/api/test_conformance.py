"""The conformance script passes against the running API."""

import httpx2
import pytest

from adapters.settings import Settings
from dev.conformance import main


def test_an_unmodified_client_library_finds_everything(
    api: httpx2.Client, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(settings) == 0
    assert capsys.readouterr().out.count("✓") >= 14
