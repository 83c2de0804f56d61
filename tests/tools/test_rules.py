"""Servers and permissions as the settings keep them, over the real services."""

from collections.abc import Iterator
from threading import Event

import pytest

from app.errors import UsageError
from app.paths import Paths
from app.services import Services
from app.tools.servers import Grant, Permission, ToolServer

FILES, WEB = ToolServer("files", "npx", ("server",)), ToolServer("web", url="https://example.org/mcp")


@pytest.fixture
def services() -> Iterator[Services]:
    services = Services(Paths.from_environment())
    yield services
    services.close()


def test_a_server_is_added_changed_in_its_place_and_removed_with_what_it_was_allowed(services: Services) -> None:
    rules = services.tool_rules
    rules.put(FILES)
    rules.put(WEB)
    rules.remember(Grant("files", "read", Permission.NEVER))
    rules.remember(Grant("web", "search", Permission.NEVER))
    changed = ToolServer("Files", "uvx")
    rules.put(changed, instead_of="files")
    assert rules.servers == (changed, WEB)
    rules.remove("web")
    assert Services(Paths.from_environment()).settings.tool_servers == (changed,)
    assert [grant.server for grant in rules.grants] == ["files"]


@pytest.mark.parametrize("server", [ToolServer("FILES", "uvx"), ToolServer("x"), ToolServer("slipstream", "uvx")])
def test_what_cannot_be_a_server_leaves_the_others_as_they_are(services: Services, server: ToolServer) -> None:
    services.tool_rules.put(FILES)
    with pytest.raises(UsageError):
        services.tool_rules.put(server)
    assert services.tool_rules.servers == (FILES,)


def test_the_toolbox_of_the_application_has_calculator_and_clock(services: Services) -> None:
    offer = services.toolbox.offer(Event())
    assert [tool.name for tool in offer.tools] == ["calculator", "current_time"]
    services.toolbox.allow(offer.tools[0], Permission.ALWAYS)
    assert services.toolbox.permission(offer.tools[0]) is Permission.ALWAYS
    assert [grant.tool for grant in services.settings.tool_grants] == ["calculator"]
