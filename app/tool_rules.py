"""What a person has configured of tools, as the settings keep it. Knows settings and servers, no connection."""

from collections.abc import Callable
from dataclasses import replace

from app.errors import UsageError
from app.settings import Settings
from app.tools.servers import MAX_SERVERS, Grant, ToolServer, checked, with_grant

Change = Callable[[Settings], Settings]


class ToolRules:
    """settings: as they are at that moment. change: of the file; raises SettingsError, and then it holds for this run
    alone."""

    def __init__(self, settings: Callable[[], Settings], change: Callable[[Change], None]):
        self._settings = settings
        self._change = change

    @property
    def servers(self) -> tuple[ToolServer, ...]:
        return self._settings().tool_servers

    @property
    def grants(self) -> tuple[Grant, ...]:
        return self._settings().tool_grants

    def remember(self, grant: Grant) -> None:
        """Raises SettingsError."""
        self._change(lambda settings: replace(settings, tool_grants=with_grant(settings.tool_grants, grant)))

    def put(self, server: ToolServer, instead_of: str | None = None) -> None:
        """A new server, or another in the place of one. Raises UsageError for what is none, SettingsError."""
        checked(server)

        def change(settings: Settings) -> Settings:
            others = [old for old in settings.tool_servers if old.name != instead_of]
            if any(old.name.casefold() == server.name.casefold() for old in others):
                raise UsageError(f"There is already a server “{server.name}”. Choose another name.")
            if len(others) >= MAX_SERVERS:
                raise UsageError(f"There are already {MAX_SERVERS} servers. Remove one that is not used.")
            at = next((i for i, old in enumerate(settings.tool_servers) if old.name == instead_of), len(others))
            return replace(settings, tool_servers=(*others[:at], server, *others[at:]))

        self._change(change)

    def remove(self, name: str) -> None:
        """With all that its tools were allowed. Raises SettingsError."""
        self._change(
            lambda settings: replace(
                settings,
                tool_servers=tuple(old for old in settings.tool_servers if old.name != name),
                tool_grants=tuple(old for old in settings.tool_grants if old.server != name),
            )
        )
