"""What is signed in to with this machine's AWS role: RDS by IAM tokens, Kafka on MSK likewise.

The SDK finds the role where AWS leaves it: in the environment, in the container, at the machine's metadata service. It
takes half a second to load and is needed on AWS alone, so these functions import it.
"""

from typing import Any

import sqlalchemy as sa


def sign_in_with_iam(engine: sa.Engine, region: str | None) -> None:
    """Give each new connection of RDS a token of its own as password; one is good for fifteen minutes."""
    import boto3  # type: ignore[import-untyped] # noqa: PLC0415

    rds = boto3.client("rds", region_name=region)

    @sa.event.listens_for(engine, "do_connect")
    def set_token(_dialect: object, _record: object, _arguments: list[Any], options: dict[str, Any]) -> None:
        options["password"] = rds.generate_db_auth_token(
            DBHostname=options["host"], Port=options.get("port", 3306), DBUsername=options["user"]
        )


def msk_token(region: str | None, _config: str) -> tuple[str, float]:
    """A token for Kafka and when it expires, in seconds since 1970; the client asks for the next one before that."""
    from aws_msk_iam_sasl_signer.MSKAuthTokenProvider import (  # type: ignore[import-untyped] # noqa: PLC0415
        generate_auth_token,
    )

    token, expires_ms = generate_auth_token(region)
    return token, expires_ms / 1000
