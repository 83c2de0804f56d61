"""The server page: the port's switch, how to call it, who calls, and who may."""

import ast
import json
import shlex
import socket
import threading
from typing import Any

import httpx
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.errors import PortInUseError
from app.server.scope import Scope
from tests import patience
from tests.ui.conftest import load
from tests.ui.hands import press
from tests.ui.stage import StageServices
from ui.main_window import SERVER, MainWindow
from ui.server.activity_view import NO_REQUEST, STOP
from ui.server.connect_view import KEY, SHOWN_KEY
from ui.server.keys_panel import REVOKE, SCOPE
from ui.server.server_page import ACCESS, ACTIVITY
from ui.server.snippets import SNIPPETS, VARIABLE, Target

PATIENCE = int(1000 * patience.PATIENCE)  # milliseconds: the first port imports FastAPI, on a busy machine, too


def words(parent: QWidget) -> list[str]:
    return [label.text() for label in parent.findChildren(QLabel) if label.isVisible()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def opened(window: MainWindow, qtbot: QtBot) -> MainWindow:
    """The window at the server page, with the port open."""
    window.go_to(SERVER)
    window.server.start_at(free_port())
    qtbot.waitUntil(lambda: window.server.address is not None and not window.server.is_switching, timeout=PATIENCE)
    return window


def view(window: MainWindow, number: int) -> None:
    window.server_page.tabs._group.button(number).click()


def test_the_port_opens_and_closes(opened: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    page = opened.server_page
    address = opened.server.address
    assert f"{address}/v1" in page.connect_view.code.edit.toPlainText()
    assert page.status.here.text() == f"{address}/v1"
    press(page, "Turn off")
    qtbot.waitUntil(lambda: opened.server.address is None and not opened.server.is_switching, timeout=PATIENCE)
    assert "The port is closed" in words(page)
    assert f"http://127.0.0.1:{services.settings.port}" == address


def test_the_switch_has_the_focus_again_when_the_port_has_opened_or_closed(opened: MainWindow, qtbot: QtBot) -> None:
    switch = opened.server_page.status.switch
    opened.activateWindow()
    qtbot.waitUntil(opened.isActiveWindow, timeout=PATIENCE)
    switch.setFocus()
    for text in ("Turn on", "Turn off"):
        switch.click()
        assert not switch.hasFocus()
        qtbot.waitUntil(switch.isEnabled, timeout=PATIENCE)
        assert switch.text() == text
        assert switch.hasFocus()


def test_a_taken_port_is_named_and_the_next_one_offered(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        window.server.start_at(port)
        qtbot.waitUntil(lambda: bool(window.banners.banners()), timeout=PATIENCE)
        assert f"Port {port} is used by another program." in window.banners.banners()[0].text
        window.server_page._offer_port(PortInUseError(port, port + 1))
    assert services.settings.port == port


def test_an_open_port_moves_to_another_number(opened: MainWindow, qtbot: QtBot) -> None:
    view(opened, ACCESS)
    port = free_port()
    opened.server_page.access.port.setValue(port)
    qtbot.waitUntil(lambda: opened.server.address == f"http://127.0.0.1:{port}", timeout=PATIENCE)
    qtbot.waitUntil(lambda: not opened.server.is_switching, timeout=PATIENCE)


def test_an_open_port_stays_where_it_is_if_the_other_is_taken(
    opened: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    view(opened, ACCESS)
    field, address, before = opened.server_page.access.port, opened.server.address, services.settings.port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        field.setFocus()
        field.setValue(port)
        field.editingFinished.emit()  # as Enter does it: the number is told twice
        qtbot.waitUntil(lambda: bool(opened.banners.banners()), timeout=PATIENCE)
        assert f"Port {port} is used by another program." in opened.banners.banners()[0].text
        assert field.value() == services.settings.port == before
        assert not opened.server.is_switching
    assert opened.server.address == address
    assert httpx.get(f"{address}/health").status_code in (200, 503)
    free = free_port()
    opened.server.start_at(free)  # what the banner offers
    qtbot.waitUntil(lambda: opened.server.address == f"http://127.0.0.1:{free}", timeout=PATIENCE)
    qtbot.waitUntil(lambda: not opened.server.is_switching, timeout=PATIENCE)


def test_a_number_chosen_while_the_port_opens_is_taken_after_it(window: MainWindow, qtbot: QtBot) -> None:
    first, second = free_port(), free_port()
    window.server.start_at(first)
    is_open = threading.Event()
    while window.server.address is None:  # no event is handled: for the window it still opens
        is_open.wait(0.02)
    window.server.move_to(second)
    assert "Opening the port…" in [each.text() for each in window.server_page.status.findChildren(QLabel)]
    qtbot.waitUntil(lambda: window.server.address == f"http://127.0.0.1:{second}", timeout=PATIENCE)
    qtbot.waitUntil(lambda: not window.server.is_switching, timeout=PATIENCE)


def test_a_key_is_made_shown_once_and_revoked(opened: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    page = opened.server_page
    view(opened, ACCESS)
    page.access.keys_panel.name.setText("laptop")
    with qtbot.waitSignal(page.keys.made):
        press(page, "Add key")
    key = page.key_card.edit.text()
    assert [(known.name, known.scope) for known in services.keys.all()] == [("laptop", Scope.USE)]
    code = page.connect_view.code.edit
    assert key in code.toPlainText()
    assert page.connect_view._key.text() == SHOWN_KEY
    press(page.key_card, "Hide")
    assert page.connect_view._key.text() == KEY
    assert key not in code.toPlainText()
    assert f"${VARIABLE}" in code.toPlainText()
    headers = {"Authorization": f"Bearer {key}"}
    address = opened.server.address
    statuses = [httpx.get(f"{address}/v1/models", headers=each).status_code for each in ({}, headers)]
    assert statuses == [401, 200]
    press(page.key_card, "Done")
    assert page.key_card.edit.text() == ""
    assert page.tabs.isAncestorOf(opened.focusWidget()), "not anywhere, as the card is gone"
    table = page.access.keys_panel.table.view
    press_cell(table, 0, SCOPE)
    with qtbot.waitSignal(page.keys.changed):
        press(page, "Change")
    assert [known.scope for known in services.keys.all()] == [Scope.MANAGE]
    assert table.model().index(0, SCOPE).data() == "Manage models"
    assert opened.focusWidget() is table
    press_cell(table, 0, REVOKE)
    press(page, "Keep it")
    assert len(services.keys.all()) == 1
    press_cell(table, 0, REVOKE)
    with qtbot.waitSignal(page.keys.changed):
        press(page, "Revoke")
    assert services.keys.all() == ()
    assert httpx.get(f"{address}/v1/models", headers=headers).status_code == 401


def test_other_computers_come_in_with_a_first_key(
    opened: MainWindow, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.server.server_desk.network_address", lambda: "192.168.1.20")
    page = opened.server_page
    view(opened, ACCESS)
    local = page.access.local
    assert (local.isChecked(), local.isEnabled()) == (False, True)
    page.access.shared.click()
    qtbot.waitUntil(lambda: services.server.is_exposed and not opened.server.is_switching, timeout=PATIENCE)
    assert (local.isChecked(), local.isEnabled()) == (True, False), "then this machine's programs need one, too"
    assert page.key_card.isVisible()
    assert [known.scope for known in services.keys.all()] == [Scope.USE], "whoever has it manages nothing here"
    assert page.status.elsewhere.text() == f"http://192.168.1.20:{services.settings.port}/v1"
    assert "http://192.168.1.20" in page.connect_view.code.edit.toPlainText()
    assert httpx.get(f"http://127.0.0.1:{services.settings.port}/v1/models").status_code == 401
    page.access.shared.click()
    qtbot.waitUntil(lambda: not services.server.is_exposed and not opened.server.is_switching, timeout=PATIENCE)
    assert services.settings.host == "127.0.0.1"


def test_names_and_web_pages_are_allowed_at_once_and_taken_back(opened: MainWindow, services: StageServices) -> None:
    page, address = opened.server_page, opened.server.address
    view(opened, ACCESS)
    origin = {"Origin": "http://localhost:3000"}
    assert httpx.get(f"{address}/v1/models", headers=origin).status_code == 403
    page.access.origins.edit.setText("localhost:3000")
    QTest.keyClick(page.access.origins.edit, Qt.Key.Key_Return)
    assert page.access.origins.problem.isVisible()
    page.access.origins.edit.setText("http://localhost:3000/")
    QTest.keyClick(page.access.origins.edit, Qt.Key.Key_Return)
    assert services.settings.allow_origins == ("http://localhost:3000",)
    assert httpx.get(f"{address}/v1/models", headers=origin).status_code == 200
    press(page.access.origins, "Remove")
    assert httpx.get(f"{address}/v1/models", headers=origin).status_code == 403


def test_a_request_is_listed_stopped_and_then_in_the_log(opened: MainWindow, qtbot: QtBot) -> None:
    load(opened, qtbot, "Slow")
    page = opened.server_page
    opened.go_to(SERVER)
    view(opened, ACTIVITY)
    assert NO_REQUEST in words(page)
    answers: list[httpx.Response] = []
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "ignore_eos": True}
    agent = {"User-Agent": "OpenAI/Python 3.54.0"}
    url = f"{opened.server.address}/v1/chat/completions"
    asking = threading.Thread(
        target=lambda: answers.append(httpx.post(url, json=body, headers=agent, timeout=PATIENCE))
    )
    asking.start()
    live = page.activity.live
    qtbot.waitUntil(lambda: len(live.rows) == 1 and live.rows[0].num_tokens > 2, timeout=PATIENCE)
    shown = [live.data(live.index(0, column)) for column in range(live.columnCount())]
    assert shown[:3] == ["OpenAI/Python 3.54.0", "stage/slow", "Answering"]
    press_cell(page.activity.live_table.view, 0, STOP)
    qtbot.waitUntil(lambda: not live.rows and bool(page.activity.log.rows), timeout=PATIENCE)
    asking.join(PATIENCE)
    assert "stopped in Slipstream" in answers[0].json()["error"]["message"]
    assert page.activity.log.data(page.activity.log.index(0, 2)) == "Stopped"
    assert [row.client for row in page.activity.callers.rows] == ["OpenAI/Python 3.54.0"]


def test_a_port_that_stops_by_itself_is_said_and_starts_again(
    opened: MainWindow, services: StageServices, qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    page, address = opened.server_page, opened.server.address
    listener = services.server._listener
    assert listener
    with qtbot.waitSignal(opened.server.failed):
        listener.loop.call_soon_threadsafe(listener.loop.stop)
    assert "The port stopped" in words(page)
    assert f"The port {address} stopped by itself" in opened.banners.banners()[0].text
    press(page, "Start again")
    qtbot.waitUntil(lambda: opened.server.address == address and not opened.server.is_switching, timeout=PATIENCE)
    assert "The port is open" in words(page)
    assert not opened.banners.banners()
    assert "the port has failed" in caplog.text


ODD = """o'd"d $(id) `id` \\ model"""


def text_of(program: str, target: Target) -> str:
    return next(snippet.text(target) for snippet in SNIPPETS if snippet.program == program)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.program)
def test_no_snippet_shows_a_key_that_is_masked_and_each_finds_it_elsewhere(snippet: Any) -> None:
    masked = snippet.text(Target("http://a", "m", needs_key=True))
    assert VARIABLE in masked
    assert "sk-1" in snippet.text(Target("http://a", "m", needs_key=True, key="sk-1"))
    assert VARIABLE not in snippet.text(Target("http://a", "m"))


def test_a_name_of_a_model_is_a_name_in_every_language() -> None:
    target = Target("http://127.0.0.1:1", ODD)
    command = shlex.split(text_of("curl", target).replace("\\\n", ""))
    assert json.loads(command[command.index("-d") + 1])["model"] == ODD
    for program in ("Python", "LangChain"):
        tree = ast.parse(text_of(program, target))
        keywords = [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "model"]
        assert ast.literal_eval(keywords[0].value) == ODD
    assert f"ANTHROPIC_MODEL={ODD}" in shlex.split(text_of("Claude Code", target).replace("\\\n", ""))


def press_cell(table: Any, row: int, column: int) -> None:
    index = table.model().index(row, column)
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=table.visualRect(index).center())
