"""The window on a disk that takes nothing: a banner each time, what is shown stays, and later it goes on."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.conversation import Role, Turn
from app.library.remarks import Remarks
from app.settings_file import load_settings
from tests.means import ODD, no_room
from tests.ui.conftest import load
from tests.ui.hands import ask, let_go, wait_answer, wait_words
from tests.ui.stage import StageServices, entry
from ui.application import listen
from ui.bridge import Bridge
from ui.main_window import MODELS, MainWindow
from ui.theme import Theme

pytestmark = pytest.mark.skipif(os.name == "nt", reason="limits are others there")


def banners(window: MainWindow) -> list[str]:
    return [banner.text for banner in window.banners.banners()]


def has_banner(window: MainWindow, words: str) -> bool:
    return any(words in text for text in banners(window))


def test_no_room_for_an_answers_row_shows_the_answer(quick: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    limit = no_room()

    def fill(turn: Turn) -> None:
        if turn.role is Role.USER:
            limit.__enter__()  # the question has found room, the answer will not

    quick.chat.session.turn_added.connect(fill)
    ask(quick, "hello there")
    try:
        widget = wait_answer(quick, qtbot)
    finally:
        limit.__exit__(None, None, None)
    quick.chat.session.turn_added.disconnect(fill)
    assert "You said “hello there”" in widget.view.toPlainText()
    assert not widget.turn.problem
    assert len([text for text in banners(quick) if "cannot be saved" in text]) == 1
    chat = services.history.conversations()[0].id
    assert [turn.text for turn in services.history.turns(chat)] == ["hello there"]

    quick.chat.session.try_again()
    widget = wait_answer(quick, qtbot)
    assert [turn.text for turn in services.history.turns(chat)] == ["hello there", widget.turn.text]


def test_no_room_while_an_answer_grows_is_told_once(
    held: MainWindow, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.chat.session.SAVE_SECONDS", 0.0)  # each piece is saved as it comes
    told: list[str] = []
    held.chat.session.unkept.connect(told.append)
    ask(held, "long 5")
    wait_words(held, qtbot)
    with no_room():
        let_go(held)
        widget = wait_answer(held, qtbot)
    assert widget.turn.text
    assert not widget.turn.problem
    assert ["The answer could not be saved" in text for text in told] == [True]
    assert told == banners(held)
    (chat,) = services.history.conversations()
    assert [turn.role for turn in services.history.turns(chat.id)] == [Role.USER, Role.ASSISTANT]


def test_no_room_for_a_question_gives_it_back(quick: MainWindow, services: StageServices) -> None:
    with no_room():
        ask(quick, "hello there")
    assert has_banner(quick, "The question could not be saved")
    assert quick.chat.composer.edit.toPlainText() == "hello there"
    assert services.history.conversations() == []


def test_no_room_to_rename_or_delete_a_chat(quick: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    ask(quick, "hello there")
    wait_answer(quick, qtbot)
    (chat,) = services.history.conversations()
    model = quick.chat.conversations
    with no_room():
        assert not model.setData(model.index(0), "Another", Qt.ItemDataRole.EditRole)
        quick.chat.delete(chat.id)
        quick.chat._finish_delete()
    assert has_banner(quick, "The chat could not be renamed")
    assert has_banner(quick, "The chat could not be deleted")
    assert model.rowCount() == 1
    assert [info.title for info in services.history.conversations()] == ["hello there"]
    assert model.setData(model.index(0), "Another", Qt.ItemDataRole.EditRole)


def test_no_room_for_a_setting(window: MainWindow, services: StageServices) -> None:
    with no_room():
        window.settings_page._choose_theme("dark")
        window.settings_page.libraries.boxes["ollama"].setChecked(False)
        window.server.share(True)
    assert has_banner(window, "settings.toml")
    assert has_banner(window, "Your choice holds until Slipstream is closed.")
    assert (services.settings.theme, services.settings.host != "127.0.0.1") == ("dark", True)
    assert load_settings(services.paths.settings_file)[0].theme == "light"
    window.settings_page._save("temperature", 0.5)
    assert load_settings(services.paths.settings_file)[0].temperature == 0.5


def test_no_room_for_a_folder(window: MainWindow, services: StageServices, tmp_path: Path, qtbot: QtBot) -> None:
    (tmp_path / "mine").mkdir()
    with no_room():
        window.settings_page.folders.add_folder(tmp_path / "mine")
        window.models_page.library.add_folder(tmp_path / "mine")
        qtbot.waitUntil(lambda: bool(banners(window)))
    assert "settings.toml" in window.settings_page.folders._problem.text()
    assert load_settings(services.paths.settings_file)[0].folders == ()


@pytest.mark.parametrize("change", ["star", "note", "name"])
def test_no_room_for_a_remark(change: str, window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    window.go_to(MODELS)
    model, desk = services.store.models()[0], window.models_page.library
    calls: dict[str, Callable[[], None]] = {
        "star": lambda: desk.star(model, True),
        "note": lambda: desk.write_note(model.id, "mine"),
        "name": lambda: desk.rename(model, "Mine"),
    }
    with no_room():
        calls[change]()
        qtbot.waitUntil(lambda: has_banner(window, "That could not be saved"))
    assert Remarks(services.paths.data / "library.json").all() == {}


def test_chats_that_another_program_holds(quick: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    with closing(sqlite3.connect(services.paths.database_file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ask(quick, "hello there")
        assert has_banner(quick, "The question could not be saved: another program holds the file.")
    ask(quick, "")
    wait_answer(quick, qtbot)
    assert len(services.history.conversations()) == 1


def test_chats_whose_file_breaks_while_the_window_is_open(
    quick: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    ask(quick, "hello there")
    wait_answer(quick, qtbot)
    (chat,) = services.history.conversations()
    with closing(sqlite3.connect(services.paths.database_file)) as other:
        other.executescript("DROP TABLE turn")
    quick.chat.session.open(chat.id)
    assert has_banner(quick, "The chat could not be read")
    assert len(quick.chat.session.turns) == 2
    quick.chat.list.search.setText("x")
    assert has_banner(quick, "The list of chats could not be read")


@pytest.mark.parametrize("kind", ODD)
def test_a_window_whose_files_are_none_opens_and_says_so(
    kind: str, tmp_path: Path, bridge: Bridge, theme: Theme, qtbot: QtBot
) -> None:
    StageServices(tmp_path, []).close()
    names = ("data/slipstream.sqlite3", "data/library.json", "config/window.ini", "cache/library.sqlite3")
    for name in names:
        (tmp_path / name).unlink(missing_ok=True)
        ODD[kind](tmp_path / name)
    services = StageServices(tmp_path, [entry("Quick")])
    window = MainWindow(services, bridge, theme)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.models.is_known)
    qtbot.waitUntil(lambda: has_banner(window, "slipstream.sqlite3.broken-1"))
    assert has_banner(window, "library.json.broken-1")
    window.close()
    services.close()
    assert all(os.path.lexists(tmp_path / f"{name}.broken-1") for name in names[:3])


def test_a_window_on_a_home_that_cannot_be_written_answers(
    tmp_path: Path, bridge: Bridge, theme: Theme, qtbot: QtBot
) -> None:
    services = StageServices(tmp_path, [])
    services.close()
    for name in ("data", "models", "cache", "logs"):
        (tmp_path / name / "kept").parent.rename(tmp_path / f"{name} before")
        (tmp_path / name).write_text("in the way")
    services = StageServices(tmp_path, [entry("Quick")])
    stop = listen(services, bridge)
    window = MainWindow(services, bridge, theme)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.models.is_known)
    assert has_banner(window, "Slipstream cannot write to")
    load(window, qtbot, "Quick")
    ask(window, "hello there")
    assert "You said “hello there”" in wait_answer(window, qtbot).view.toPlainText()
    window.close()
    stop()
    services.close()
    assert (tmp_path / "logs").read_text() == "in the way"
