"""One secret in the system's keyring. Knows no token and no server; whoever asks says what a failure means."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
SERVICE = "slipstream"


class KeyringError(Exception):
    """The keyring did not do as it was asked. By the kind of error alone: its words are the keyring's own."""

    def __init__(self, kind: str):
        super().__init__(kind)
        self.kind = kind

    @property
    def is_missing(self) -> bool:
        """This system has no keyring at all."""
        return self.kind == "NoKeyringError"

    @property
    def is_locked(self) -> bool:
        return self.kind == "KeyringLocked"

    def sentence(self, what: str, done: str) -> str:
        """what: “the token”. done: “kept”, “read” or “removed”."""
        if self.is_missing:
            return f"This system has no keyring, so {what} cannot be {done}."
        if self.is_locked:
            return f"The system's keyring is locked, so {what} cannot be {done}. Unlock it and try again."
        return f"The system's keyring did not answer ({self.kind}), so {what} cannot be {done}."


class KeyringEntry:
    """Its methods may take seconds, and ask the person for a password. All raise KeyringError."""

    def __init__(self, user: str):
        self._user = user

    def read(self) -> str | None:
        import keyring

        return _asked(lambda: keyring.get_password(SERVICE, self._user))

    def write(self, secret: str) -> None:
        import keyring

        _asked(lambda: keyring.set_password(SERVICE, self._user, secret))

    def delete(self) -> None:
        """Nothing happens where there is none."""
        import keyring
        from keyring.errors import PasswordDeleteError

        def delete() -> None:
            with suppress(PasswordDeleteError):
                keyring.delete_password(SERVICE, self._user)

        _asked(delete)


def _asked(ask: Callable[[], T]) -> T:
    import keyring.errors

    try:
        return ask()
    except (keyring.errors.KeyringError, RuntimeError, OSError) as error:
        raise KeyringError(type(error).__name__) from None
