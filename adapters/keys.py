"""The signing keys of our tokens: one private JWK per file, `<kid>.json`, readable by nobody else.

The file says when its key was published, so that it may be copied: API hosts need the same keys, which a secret store
may put there. A new key is published first and signs OVERLAP_SECONDS later, when every host has it and every reader of
our JWKS has fetched it; the old one verifies until the last token it signed has expired.
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from joserfc.jwk import ECKey

PUBLISHED_AT = "published_at"
OVERLAP_SECONDS = 600  # twice as long as our JWKS may be cached
_LONGEST_TOKEN_SECONDS = 3600  # what the settings allow at most
_LEEWAY_SECONDS = 60


@dataclass(frozen=True)
class KeyFile:
    """A key in its folder. Times are seconds since 1970."""

    path: Path
    published_at: float


def live_keys(folder: str | Path, at: float | None = None) -> list[KeyFile]:
    """The keys that verify at that moment (now), oldest first."""
    moment, keys = time.time() if at is None else at, _all_keys(folder)
    if not keys:
        return []
    # A key is replaced when its successor begins to sign.
    replaced = [later.published_at + OVERLAP_SECONDS for later in keys[1:]]
    last_seen = moment - _LONGEST_TOKEN_SECONDS - _LEEWAY_SECONDS
    return [key for key, until in zip(keys, [*replaced, moment], strict=True) if until > last_seen]


def signing_key_of(keys: list[KeyFile], at: float | None = None) -> KeyFile | None:
    """The newest key that has been published long enough; the oldest when none has, as in a new shop."""
    moment = time.time() if at is None else at
    ready = [key for key in keys if key.published_at <= moment - OVERLAP_SECONDS]
    return (ready[-1] if ready else keys[0]) if keys else None


def ensure_signing_key(folder: str | Path) -> tuple[Path, bool]:
    """Create an ES256 key unless the folder holds one; answers the newest key's file and whether it was made now."""
    existing = _all_keys(folder)
    return (existing[-1].path, False) if existing else (_make_key(Path(folder), time.time()), True)


def rotate_keys(folder: str | Path, at_once: bool = False) -> tuple[Path, list[Path]]:
    """Publish a new key and drop those no token needs any more; answers the new file and those dropped.

    `at_once`, for a key that has leaked: the new key signs from now on and every other is dropped, with all the
    tokens they signed.
    """
    before = _all_keys(folder)
    made = _make_key(Path(folder), time.time() - (OVERLAP_SECONDS if at_once else 0))
    live = {made} if at_once else {key.path for key in live_keys(folder)}
    dropped = [key.path for key in before if key.path not in live]
    for path in dropped:
        path.unlink(missing_ok=True)
    return made, dropped


def _all_keys(folder: str | Path) -> list[KeyFile]:
    found = []
    for path in Path(folder).glob("*.json"):
        try:
            found.append(KeyFile(path, _published_at(path)))
        except (FileNotFoundError, ValueError):  # dropped by a rotation, or being copied, at this very moment
            continue
    return sorted(found, key=lambda key: (key.published_at, key.path.name))


def _published_at(path: Path) -> float:
    """What the file says; of a key made before files said it, the file's own time."""
    said = json.loads(path.read_text()).get(PUBLISHED_AT)
    return path.stat().st_mtime if said is None else float(said)


def _make_key(home: Path, published_at: float) -> Path:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, private=True, auto_kid=True)
    path = home / f"{key.kid}.json"
    # Complete before it is visible: an API starting at this moment never reads half a key.
    draft = home / f".{key.kid}.draft"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({**key.as_dict(private=True), PUBLISHED_AT: published_at}, file)
    draft.rename(path)
    return path
