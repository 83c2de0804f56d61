"""Tool servers in the settings, by keys and clicks: added, tested over a real process, forbidden, removed."""

import shlex
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from app.errors import UsageError
from app.tools.servers import Permission
from tests.tools.conftest import SERVERS
from tests.ui.hands import press
from tests.ui.stage import StageServices
from ui.main_window import SETTINGS, MainWindow
from ui.settings.server_form import server_from
from ui.settings.tools_panel import ToolsPanel


@pytest.fixture
def panel(window: MainWindow) -> ToolsPanel:
    window.go_to(SETTINGS)
    return window.settings_page.tools


def write(field: QLineEdit, text: str) -> None:
    field.setFocus()
    QTest.keyClicks(field, text)


def add(panel: ToolsPanel, name: str, program: Path, *args: str) -> None:
    press(panel, "Add server…")
    write(panel.form.name, name)
    write(panel.form.command, shlex.join((sys.executable, str(program), *args)))
    QTest.keyClick(panel.form.command, Qt.Key.Key_Return)


def test_a_server_is_added_tested_and_its_tool_forbidden(
    panel: ToolsPanel, services: StageServices, qtbot: QtBot
) -> None:
    add(panel, "Real", SERVERS / "real.py")
    row = panel.servers["Real"]
    QTest.mouseClick(row.test, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: row.test.text() == "Test" and not row.state.isHidden())
    assert row.state.text() == "It offers 2 tools."
    choice = row.tools.choices["add"]
    choice.setFocus()
    QTest.keyClicks(choice, "N")
    assert [(grant.tool, grant.permission) for grant in services.settings.tool_grants] == [("add", Permission.NEVER)]


def test_what_is_no_server_says_why(panel: ToolsPanel, tmp_path: Path, qtbot: QtBot) -> None:
    add(panel, "Gone", tmp_path / "nothing.py")
    row = panel.servers["Gone"]
    QTest.mouseClick(row.test, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: row.test.text() == "Test" and "Gone" in row.state.text())
    assert not row.tools.choices


def test_a_removed_server_comes_back_with_what_it_may_do(panel: ToolsPanel, services: StageServices) -> None:
    add(panel, "Real", SERVERS / "real.py")
    before = services.settings.tool_servers
    press(panel.servers["Real"], "Remove")
    assert services.settings.tool_servers == ()
    press(panel, "Undo")
    assert services.settings.tool_servers == before
    assert list(panel.servers) == ["Real"]


def test_a_name_that_is_taken_is_refused_in_the_form(panel: ToolsPanel, services: StageServices) -> None:
    add(panel, "Real", SERVERS / "real.py")
    add(panel, "real", SERVERS / "real.py")
    assert panel.form.problem.text() == "There is already a server “real”. Choose another name."
    assert len(services.settings.tool_servers) == 1


def test_an_address_and_variables_are_read() -> None:
    server = server_from(" Far ", "https://example.org/mcp", "", ("Authorization",))
    assert (server.name, server.url, server.command, server.secrets) == (
        "Far",
        "https://example.org/mcp",
        None,
        ("Authorization",),
    )
    near = server_from("Near", "uvx 'a b' c", "A=1=2\n\nB=", ())
    assert (near.command, near.args, near.env) == ("uvx", ("a b", "c"), {"A": "1=2", "B": ""})
    for command, env in (("uvx 'a", ""), ("uvx", "A")):
        with pytest.raises(UsageError):
            server_from("Near", command, env, ())
