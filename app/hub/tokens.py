"""The person's access token for the Hub. It lives in the system's keyring, never in a file of ours or in a log."""

import os
import re
import threading

from app.errors import SlipstreamError
from app.keyring_entry import KeyringEntry, KeyringError

USER = "huggingface"
VARIABLE = "HF_TOKEN"
TOKEN = re.compile(r"[\x21-\x7e]{8,512}")  # what an HTTP header can carry


class TokenError(SlipstreamError):
    """The keyring does not let it go, or it cannot be a token."""


class TokenStore:
    """HF_TOKEN first, then the keyring. May be asked on any thread; a keyring can take seconds to answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # a keyring that asks for its password should ask once
        self._entry = KeyringEntry(USER)
        self._token: str | None = None
        self._is_read = False
        self.problem: str | None = None  # why the keyring could not be read, for a person

    @property
    def is_from_environment(self) -> bool:
        return TOKEN.fullmatch(os.environ.get(VARIABLE, "").strip()) is not None

    def token(self) -> str | None:
        """None without one, or when the keyring cannot be read: what is public works all the same."""
        if self.is_from_environment:
            return os.environ[VARIABLE].strip()
        with self._lock:
            if not self._is_read:
                self._read()
            return self._token

    def save(self, token: str) -> str | None:
        """Why it holds only until the application ends, or None when it was kept. Raises TokenError for no token."""
        token = token.strip()
        if not TOKEN.fullmatch(token):
            raise TokenError("That is not an access token. It begins with “hf_” and has no spaces.")
        with self._lock:
            self._token, self._is_read = token, True
            return self._write(token)

    def forget(self) -> None:
        """Raises TokenError when the keyring does not let it go."""
        with self._lock:
            self._token, self._is_read = None, True
            try:
                self._entry.delete()
            except KeyringError as error:
                raise TokenError(_sentence(error, "removed")) from None

    def __repr__(self) -> str:
        return "TokenStore()"

    def _read(self) -> None:
        try:
            kept = self._entry.read()
        except KeyringError as error:
            self.problem = _sentence(error, "read")
            return
        self._is_read, self.problem = True, None
        self._token = kept if kept and TOKEN.fullmatch(kept) else None

    def _write(self, token: str) -> str | None:
        try:
            self._entry.write(token)
        except KeyringError as error:
            return _sentence(error, "kept")
        return None


def _sentence(error: KeyringError, what: str) -> str:
    if error.is_missing:
        until = "The token holds until Slipstream is closed. " if what == "kept" else ""
        return f"This system has no keyring to keep a token in. {until}Set {VARIABLE} to have one always."
    return error.sentence("the token", what) + ("" if error.is_locked else f" Or set {VARIABLE}.")
