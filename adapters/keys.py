"""The signing keys of our tokens: one private JWK per file, `<kid>.json`, readable by nobody else."""

import json
import os
from pathlib import Path

from joserfc.jwk import ECKey


def ensure_signing_key(folder: str | Path) -> tuple[Path, bool]:
    """Make an ES256 key unless the folder holds one; answers the newest key's file and whether it was made now.

    To rotate, add a key: the newest signs, all of them verify until their file is removed.
    """
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    existing = sorted(home.glob("*.json"), key=lambda path: path.stat().st_mtime)
    if existing:
        return existing[-1], False
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, private=True, auto_kid=True)
    path = home / f"{key.kid}.json"
    # Complete before it is visible: an API starting at this moment never reads half a key.
    draft = home / f".{key.kid}.draft"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(key.as_dict(private=True), file)
    draft.rename(path)
    return path, True
