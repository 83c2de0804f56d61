"""The token's place in the settings: kept, said, forgotten; a machine without a keyring says so."""

from collections.abc import Iterator

import keyring
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMainWindow
from pytestqt.qtbot import QtBot

from app.hub.tokens import TokenStore
from tests.hub.test_tokens import TOKEN
from tests.keyring import Memory
from tests.ui.hands import press
from ui.bridge import Bridge
from ui.settings.token_row import TokenRow


@pytest.fixture
def row(bridge: Bridge, qtbot: QtBot, ring: Memory) -> Iterator[TokenRow]:  # noqa: ARG001
    result = TokenRow(TokenStore(), bridge)
    holder = QMainWindow()
    holder.setCentralWidget(result)
    holder.setMinimumSize(700, 100)
    qtbot.addWidget(holder)
    holder.show()
    qtbot.waitUntil(lambda: bool(result.status.text()))
    yield result
    holder.close()


def enter(row: TokenRow, text: str) -> None:
    QTest.keyClicks(row.edit, text)
    QTest.keyClick(row.edit, Qt.Key.Key_Return)


def test_a_token_is_entered_and_forgotten(row: TokenRow, qtbot: QtBot) -> None:
    assert row.status.text() == "There is none."
    enter(row, TOKEN)
    assert not row.edit.text()
    qtbot.waitUntil(lambda: row.status.text() == "There is one.")
    assert keyring.get_password("slipstream", "huggingface") == TOKEN
    press(row, "Forget")
    qtbot.waitUntil(lambda: row.status.text() == "There is none.")
    assert keyring.get_password("slipstream", "huggingface") is None


def test_what_is_no_token_is_said(row: TokenRow, qtbot: QtBot) -> None:
    enter(row, "two words")
    qtbot.waitUntil(lambda: "not an access token" in row.status.text())


def test_a_machine_without_a_keyring_says_that_it_holds_for_now(
    row: TokenRow,
    qtbot: QtBot,
    ring: Memory,
) -> None:
    ring.fault = keyring.errors.NoKeyringError()
    enter(row, TOKEN)
    qtbot.waitUntil(lambda: "holds until Slipstream is closed" in row.status.text())
    assert row.forget.isVisible()


def test_the_environments_token_is_not_for_changing_here(
    row: TokenRow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    row.hide()
    row.show()
    qtbot.waitUntil(lambda: row.status.text() == "It comes from HF_TOKEN.")
    assert not row.forget.isVisible()
    assert not row.edit.isVisible()
