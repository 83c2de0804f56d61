"""Keys of tool servers. They live in the system's keyring, never in a file of ours, a log, or another server."""

import json
from collections.abc import Mapping

from app.errors import ToolError
from app.keyring_entry import KeyringEntry, KeyringError
from app.tools.servers import MAX_VALUE

_USER = "tools/{}"


class ToolSecrets:
    """May be asked on any thread; a keyring can take seconds to answer."""

    def values(self, server: str) -> Mapping[str, str]:
        """By the names of variables or headers. Raises ToolError when the keyring does not let them go."""
        try:
            kept = json.loads(self._entry(server).read() or "{}")
        except KeyringError as error:
            raise ToolError(error.sentence(f"the secrets of “{server}”", "read")) from None
        except ValueError:
            return {}
        return {str(name): str(value) for name, value in kept.items()} if isinstance(kept, dict) else {}

    def keep(self, server: str, values: Mapping[str, str]) -> None:
        """In place of those before; none forgets them. Raises ToolError."""
        for name, value in values.items():
            if not value or len(value) > MAX_VALUE or not value.isprintable():
                raise ToolError(f"{name} needs a value of 1 to {MAX_VALUE} printable characters.")
        try:
            if values:
                self._entry(server).write(json.dumps(dict(values)))
            else:
                self._entry(server).delete()
        except KeyringError as error:
            raise ToolError(error.sentence(f"the secrets of “{server}”", "kept")) from None

    def _entry(self, server: str) -> KeyringEntry:
        return KeyringEntry(_USER.format(server))
