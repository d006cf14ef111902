"""Secrets that are not in the environment itself: in files, as containers mount them, or in AWS Secrets Manager."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import (
    AWSSecretsManagerSettingsSource,
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsError,
)

from adapters.store_settings import variable_of

# It holds secrets, though it is none as a whole.
_JSON_WITH_SECRETS = "oidc_providers"


class SecretFiles(PydanticBaseSettingsSource):
    """`<NAME>_FILE`, of the process or of `.env`, names the file that holds the secret `<NAME>`."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(settings_cls)
        self._variables = variables  # their names are in lower case

    def __call__(self) -> dict[str, Any]:
        """The secrets found, by the names under which the settings class takes them."""
        return dict(self._secrets())

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The secret of one setting, None where no file is named for it."""
        variable = variable_of(field_name, field)
        key = field_name if field.validation_alias is None else variable
        path = self._variables.get(f"{variable}_FILE".lower())
        if not path:
            return None, key, False
        if self._variables.get(variable.lower()):
            raise SettingsError(f"{variable} and {variable}_FILE are both set; one of them is enough")
        return _read(f"{variable}_FILE", Path(path)), key, field_name == _JSON_WITH_SECRETS

    def _secrets(self) -> Iterator[tuple[str, Any]]:
        for name, field in self.settings_cls.model_fields.items():
            if name == _JSON_WITH_SECRETS or SecretStr in (field.annotation, *get_args(field.annotation)):
                value, key, is_json = self.get_field_value(field, name)
                if value is not None:
                    yield key, json.loads(value) if is_json else value


def secrets_manager(
    settings_cls: type[BaseSettings], variables: Mapping[str, str | None]
) -> list[PydanticBaseSettingsSource]:
    """The secret that ORDERS_AWS_SECRET_ID names, a JSON object with values by the names of their variables."""
    secret = variables.get("orders_aws_secret_id")
    if not secret:
        return []
    # It takes half a second to load, and is needed on AWS alone.
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped] # noqa: PLC0415

    try:
        region = variables.get("aws_region")
        return [AWSSecretsManagerSettingsSource(settings_cls, secret, region_name=region, case_sensitive=False)]
    except (BotoCoreError, ClientError, ValueError) as error:
        raise SettingsError(f"ORDERS_AWS_SECRET_ID: {secret} cannot be read: {error}") from error


def _read(variable: str, path: Path) -> str:
    try:
        secret = path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: {path} cannot be read: {error}") from error
    if not secret:
        raise SettingsError(f"{variable}: {path} is empty")
    return secret
