"""The port's keys: several, named, revocable. Made here, shown once, kept as hashes. Knows no request.

A key is 32 random bytes, so one round of SHA-256 hides it as well as a slow hash would hide a password.
"""

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.errors import SettingsError, UsageError
from app.exact_json import exact_json
from app.server.scope import Scope
from app.whole_file import PATIENCE, changing_file, reason, replace_file, set_aside
from backends.regular_file import OddFileError, read_regular

KEY_BYTES = 32
PREFIX = "sk-slip-"
MAX_KEYS = 100
MAX_NAME = 64
MAX_BYTES = 1 << 18
VERSION = 2
UNSCOPED = 1  # the version whose keys had no scope, and might do all
LOOK_SECONDS = 1.0  # a key that another process has revoked is good for no longer
WRITE_SECONDS = 60.0  # between two notes of when keys were used: each is an fsync
USE_PATIENCE = 0.5  # seconds that such a note waits for others who write
HEX_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Key:
    """digest: SHA-256 of the key, in hex; it says which key it is, as names may come again. Times are ISO 8601, UTC, to
    the second."""

    name: str
    digest: str
    created: str
    last_used: str | None = None
    scope: Scope = Scope.USE


@dataclass(frozen=True, slots=True)
class _Kept:
    """is_required: a key was made once, and nobody has said since that the port may do without."""

    keys: tuple[Key, ...] = ()
    is_required: bool = False


NOTHING = _Kept()
UNREADABLE = _Kept(is_required=True)  # then nobody comes in, rather than everybody


def new_api_key() -> str:
    return f"{PREFIX}{secrets.token_urlsafe(KEY_BYTES)}"


class Keys:
    """Thread-safe, and safe beside other processes: a change is one of what the file says at that moment.

    With the first key the port needs one, and it goes on to when the last one is revoked: whoever had it is locked out.
    """

    def __init__(self, path: Path):
        self._path = path
        # what is remembered and its identity change together. Never held for a write: the port's loop asks, too
        self._lock = threading.Lock()
        self._kept = NOTHING
        self._identity: tuple[int, int, int] | None = None
        self._look_due = 0.0
        self._used: dict[str, str] = {}  # by digest: when, and not written yet
        self._write_due = 0.0

    @property
    def is_required(self) -> bool:
        return self._now().is_required

    def all(self) -> tuple[Key, ...]:
        """Oldest first."""
        kept = self._now(is_fresh=True)
        return tuple(replace(key, last_used=self._used.get(key.digest, key.last_used)) for key in kept.keys)

    def readable(self) -> tuple[Key, ...]:
        """As `all`; raises OSError where that would be none because the file cannot be read."""
        if self._now(is_fresh=True) is UNREADABLE:
            raise OSError(f"the keys in {self._path} cannot be read")
        return self.all()

    def add(self, name: str, scope: Scope = Scope.USE) -> str:
        """The key, which cannot be had again. Raises UsageError for the name, SettingsError for the disk."""
        name = _checked(name)
        key = new_api_key()

        def change(kept: _Kept) -> _Kept:
            if any(other.name.casefold() == name.casefold() for other in kept.keys):
                raise UsageError(f"There is already a key “{name}”. Revoke it first, or choose another name.")
            if len(kept.keys) >= MAX_KEYS:
                raise UsageError(f"There are already {MAX_KEYS} keys. Revoke one that is not used.")
            made = Key(name, digest_of(key.encode()), _iso(time.time()), scope=scope)
            return _Kept((*kept.keys, made), is_required=True)

        self._change(change)
        return key

    def revoke(self, name: str) -> None:
        """Raises UsageError when there is none of that name, SettingsError for the disk."""

        def change(kept: _Kept) -> _Kept:
            gone = _named(kept, name)
            return replace(kept, keys=tuple(key for key in kept.keys if key is not gone))

        self._change(change)

    def allow(self, name: str, scope: Scope) -> None:
        """Whether its programs may manage models. Raises as `revoke`."""

        def change(kept: _Kept) -> _Kept:
            meant = _named(kept, name)
            return replace(kept, keys=tuple(replace(key, scope=scope) if key is meant else key for key in kept.keys))

        self._change(change)

    def require(self, is_required: bool) -> None:
        """Whether programs on this machine need one; those on others always do. Raises SettingsError."""
        self._change(lambda kept: replace(kept, is_required=is_required))

    def find(self, shown: bytes) -> Key | None:
        """The key that was shown, which counts as used now; None when it is none of ours.

        The time it takes tells nothing of how much of a key was right.
        """
        digest = digest_of(shown)
        found = [key for key in self._now().keys if hmac.compare_digest(key.digest, digest)]
        if not found:
            return None
        self._used[found[0].digest] = _iso(time.time())
        return found[0]

    def has(self, digest: str) -> bool:
        """Whether it is not revoked, as far as the last look goes: see LOOK_SECONDS."""
        return any(key.digest == digest for key in self._now().keys)

    def is_write_due(self) -> bool:
        """Whether it is time to `write_uses`, which waits for the disk. True once, then not again for a while."""
        is_due = bool(self._used) and time.monotonic() > self._write_due
        if is_due:
            self._write_due = time.monotonic() + WRITE_SECONDS
        return is_due

    def write_uses(self) -> None:
        """When keys were used. A disk that does not take it costs a date."""
        if used := dict(self._used):
            with suppress(SettingsError):
                self._change(lambda kept: _with_uses(kept, used), USE_PATIENCE)
            for digest, at in used.items():
                if self._used.get(digest) == at:
                    del self._used[digest]

    def _now(self, is_fresh: bool = False) -> _Kept:
        with self._lock:
            if is_fresh or time.monotonic() > self._look_due:
                self._look_due = time.monotonic() + LOOK_SECONDS
                self._refresh()
            return self._kept

    def _refresh(self) -> None:
        """A file that vanishes under an open port leaves its keys as they were."""
        try:
            identity = _identity(self._path)
            if identity != self._identity:
                self._kept, self._identity = _read(self._path), identity
        except FileNotFoundError:
            pass
        except (OSError, ValueError):
            self._kept, self._identity = UNREADABLE, None

    def _change(self, change: Callable[[_Kept], _Kept], patience: float = PATIENCE) -> None:
        try:
            with changing_file(self._path, patience):
                changed = change(self._current())
                replace_file(self._path, _document(changed))
                with self._lock:
                    self._kept, self._identity = changed, _identity(self._path)
        except OSError as error:
            raise SettingsError(f"The keys could not be kept in {self._path}: {reason(error)}.") from error

    def _current(self) -> _Kept:
        """What the file says; a broken one is set aside, and a key stays required. Raises OSError."""
        try:
            return _read(self._path)
        except FileNotFoundError:
            return NOTHING
        except (ValueError, OddFileError):
            set_aside(self._path)
            return UNREADABLE


def _named(kept: _Kept, name: str) -> Key:
    """Raises UsageError when there is none of that name."""
    for key in kept.keys:
        if key.name == name:
            return key
    names = ", ".join(f"“{key.name}”" for key in kept.keys)
    raise UsageError(f"There is no key “{name}”. {f'There are {names}' if names else 'There is none'}.")


def _with_uses(kept: _Kept, used: Mapping[str, str]) -> _Kept:
    return replace(kept, keys=tuple(replace(key, last_used=used.get(key.digest, key.last_used)) for key in kept.keys))


def _identity(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def digest_of(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def seconds_of(iso: str) -> float:
    """Since the epoch, of a time of a key. Raises ValueError."""
    return datetime.fromisoformat(iso).timestamp()


def _checked(name: str) -> str:
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise UsageError(f"Give the key a name of 1 to {MAX_NAME} printable characters.")
    return name


def _document(kept: _Kept) -> bytes:
    keys = [asdict(key) for key in kept.keys]
    return exact_json({"version": VERSION, "is_required": kept.is_required, "keys": keys}).encode()


def _read(path: Path) -> _Kept:
    """Raises OSError, and ValueError for a file that is none of ours: then no key of it counts."""
    try:
        document = json.loads(read_regular(path, MAX_BYTES))
        keys = tuple(_key(each, document["version"]) for each in document["keys"])
        is_required = document["is_required"]
    except (KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise ValueError("no file of keys") from fault
    if len(keys) > MAX_KEYS or type(is_required) is not bool or len({key.name for key in keys}) < len(keys):
        raise ValueError("no file of keys")
    return _Kept(keys, is_required)


def _key(entry: Mapping[str, Any], version: Any) -> Key:
    scope = Scope.MANAGE if version == UNSCOPED else Scope(entry["scope"])
    key = Key(entry["name"], entry["digest"], entry["created"], entry.get("last_used"), scope)
    texts = (key.name, key.digest, key.created, key.last_used or "")
    if not all(isinstance(each, str) and len(each) <= MAX_NAME and each.isprintable() for each in texts):
        raise ValueError("no key")
    if len(key.digest) != 2 * hashlib.sha256().digest_size or not HEX_DIGITS.issuperset(key.digest):
        raise ValueError("no digest")
    return key
