"""A keyring for tests, in memory."""

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


class Memory(KeyringBackend):
    """A keyring that a test fills, locks, or takes away."""

    priority = -2.0  # type: ignore[assignment]  # never chosen by itself

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.fault: Exception | None = None
        self.num_reads = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.num_reads += 1
        if self.fault:
            raise self.fault
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.fault:
            raise self.fault
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.fault:
            raise self.fault
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError
