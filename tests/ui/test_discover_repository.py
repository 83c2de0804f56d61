"""The right half of Discover: a repository's files, whether they run here, its gate, and the click that installs."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from app.errors import AlreadyThere, ModelFileError
from app.jobs.install_request import Aim, InstallRequest
from app.planner.machine import Machine
from backends.protocol import EngineOptions
from tests.hub.double import HubDouble, HubRepo
from tests.library.gguf_bytes import model
from tests.ui.discovering import find, open_first
from tests.ui.hands import press
from tests.ui.stage import StageServices
from ui.bridge import Bridge
from ui.hub.card_view import piece_end
from ui.hub.discover_page import SHUT, DiscoverPage
from ui.hub.variants_model import VariantRole
from ui.main_window import DISCOVER, DOWNLOADS, MODELS, MainWindow

CARD = b"# A card\n![x](http://evil/x.png)\n[a link](https://site)"


def test_variants_tell_whether_they_run_and_what_is_here(
    page: DiscoverPage, double: HubDouble, qtbot: QtBot, qtmodeltester: ModelTester
) -> None:
    small, other = model(), model() + b"x"
    double.add(HubRepo("org/m", {"m-Q4_K_M.gguf": small, "m-Q8_0.gguf": other, "README.md": CARD}))
    find(page, qtbot, "m")
    with qtbot.waitSignals([page.desk.opened, page.desk.header_read]):
        page.view.setCurrentIndex(page.results.index(0))
    variants = page.pane.variants
    qtmodeltester.check(variants)
    assert [variants.index(row).data() for row in range(2)] == ["Q4_K_M", "Q8_0"]
    qtbot.waitUntil(lambda: variants.index(0).data(VariantRole.DETAIL) == "Fits in RAM: 0.7 of 13.6 GB")
    assert "4,096" in page.pane._figures.text()  # of the header: the page does not say
    page.pane.take_ground(Machine.at_rest(100_000_000), EngineOptions())
    assert variants.index(0).data(VariantRole.DETAIL).startswith("Does not fit: RAM has 85 of 705 MB")
    assert variants.index(0).data(VariantRole.TONE) == "warning_text"
    page.pane.take_library(frozenset({double.repos["org/m"].file("m-Q8_0.gguf").sha256}))  # type: ignore[union-attr]
    assert variants.index(1).data(VariantRole.DETAIL) == "You already have this"
    page.pane.view.setCurrentIndex(variants.index(1))
    with qtbot.waitSignal(page.show_wanted) as shown:  # there is nothing to install about it
        press(page, "Show in Models")
    assert shown.args == [double.repos["org/m"].file("m-Q8_0.gguf").sha256]  # type: ignore[union-attr]
    assert "evil" not in page.pane.card.toHtml()
    assert "A card" in page.pane.card.toPlainText()


def test_a_click_asks_for_the_file_and_its_companions(page: DiscoverPage, double: HubDouble, qtbot: QtBot) -> None:
    files = {"m-Q4_K_M.gguf": model(), "m-Q8_0.gguf": model() + b"x", "mmproj-F16.gguf": b"p"}
    repo = double.add(HubRepo("org/m", files))
    find(page, qtbot, "m")
    open_first(page, qtbot)
    with qtbot.waitSignal(page.install_wanted) as wanted:
        QTest.mouseClick(page.pane.bar.install, Qt.MouseButton.LeftButton)
    request = wanted.args[0]
    assert isinstance(request, InstallRequest)
    assert (request.repository_id, request.commit, request.aim) == ("org/m", repo.sha, Aim.GGUF)
    assert [file.path for file in request.files] == ["m-Q4_K_M.gguf"]
    assert request.mmproj is not None
    assert request.mmproj.path == "mmproj-F16.gguf"


def test_a_checkpoint_asks_what_to_make_of_it(page: DiscoverPage, double: HubDouble, qtbot: QtBot) -> None:
    files = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": b"w" * 100}
    double.add(HubRepo("org/m", files, safetensors={"total": 8_000_000_000}))
    find(page, qtbot, "m")
    open_first(page, qtbot)
    bar = page.pane.bar
    note = (
        "About 4.9 GB once it is converted. Fits in RAM: 5.8 of 13.6 GB. The checkpoint is not kept: another "
        "quantization downloads it again."
    )
    qtbot.waitUntil(lambda: bar.note.text() == note)
    bar.quantization.setCurrentIndex(bar.quantization.values.index("Q8_0"))
    bar.quantization.activated.emit(bar.quantization.currentIndex())
    assert bar.note.text().startswith("About 8.5 GB")
    with qtbot.waitSignal(page.install_wanted) as wanted:
        QTest.mouseClick(bar.install, Qt.MouseButton.LeftButton)
    request = wanted.args[0]
    assert (request.aim, request.quantization, len(request.files)) == (Aim.MODEL, "Q8_0", 3)


def test_a_file_with_an_unsound_header_cannot_be_installed(page: DiscoverPage, double: HubDouble, qtbot: QtBot) -> None:
    double.add(HubRepo("org/m", {"m-Q8_0.gguf": b"<!DOCTYPE html>" + bytes(50)}))
    find(page, qtbot, "m")
    with qtbot.waitSignals([page.desk.opened, page.desk.header_failed]):
        page.view.setCurrentIndex(page.results.index(0))
    assert not page.pane.bar.install.isEnabled()
    assert page.pane.bar.note.text().startswith("Do not download this file")


def test_a_gated_repository_takes_a_token_and_opens(
    page: DiscoverPage, double: HubDouble, qtbot: QtBot, services: StageServices
) -> None:
    token = "hf_good_token"
    double.tokens[token] = "alice"
    double.add(HubRepo("org/m", {"m-Q8_0.gguf": model()}, gated="manual", granted={token}))
    find(page, qtbot, "m")
    with qtbot.waitSignals([page.desk.opened, page.desk.header_failed]):
        page.view.setCurrentIndex(page.results.index(0))
    gate = page.pane.gate
    assert gate.isVisible()
    assert "given only to people who asked for it" in gate.text
    assert gate.ask.toolTip() == f"{double.endpoint}/org/m"
    QTest.keyClicks(gate.token, token)
    with qtbot.waitSignals([page.desk.opened, page.desk.header_read, page.desk.noted]):
        press(gate, "Use token")
    assert not gate.token.text()
    assert "no keyring" in gate.note.text()  # the machine of the tests has none
    assert services.tokens.token() == token


def test_a_hub_that_wants_a_token_for_all_is_a_gate_too(page: DiscoverPage, double: HubDouble, qtbot: QtBot) -> None:
    double.fail(on="/api/models/*", status=401)
    with qtbot.waitSignal(page.desk.failed):
        page.desk.open("org/m")
    assert page._right.currentIndex() == SHUT
    assert "answers only with an access token" in page.gate.text


def test_closing_does_not_wait_for_a_silent_server(
    page: DiscoverPage, double: HubDouble, qtbot: QtBot, bridge: Bridge
) -> None:
    double.add(HubRepo("org/m", {"m-Q8_0.gguf": model()}))
    double.fail(on="/cdn/*", stall_after=10)
    find(page, qtbot, "m")
    open_first(page, qtbot)
    qtbot.waitUntil(lambda: any(seen.server == "cdn" and seen.bytes_sent for seen in double.requests))
    page.close_down()
    bridge.close()  # waits for its workers: without close_down ten seconds
    assert not [fault for fault in double.faults if fault.num_seen > 1]


def test_the_window_hands_a_wish_to_those_who_install(
    window: MainWindow, services: StageServices, double: HubDouble, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[InstallRequest] = []

    def install(request: InstallRequest) -> int:
        if request in wanted:
            raise ModelFileError("You have it already.")
        wanted.append(request)
        return 7

    monkeypatch.setattr(services.installs, "install", install)
    monkeypatch.setenv("HF_ENDPOINT", double.endpoint)
    double.add(HubRepo("org/m", {"m-Q4_K_M.gguf": model()}))
    window.go_to(DISCOVER)
    find(window.discover, qtbot, "m")
    open_first(window.discover, qtbot)
    with qtbot.waitSignal(window.install_desk.begun):
        press(window.discover, window.discover.pane.bar.install.text())
    assert wanted[0].repository_id == "org/m"
    assert window.banners.banners()[-1].text == "org/m m-Q4_K_M.gguf is downloading."
    window.go_to(DOWNLOADS)  # where it is to be seen
    assert not window.banners.banners()
    window.go_to(DISCOVER)
    window.install_desk.begun.emit(wanted[0])
    press(window.banners, "Show downloads")
    assert window._pages.currentIndex() == DOWNLOADS
    window.install_desk.begun.emit(wanted[0])
    assert not window.banners.banners()
    with qtbot.waitSignal(window.install_desk.refused):
        window.install_desk.install(wanted[0])
    assert window.banners.banners()[-1].text == "You have it already."


def test_what_is_there_or_on_its_way_is_refused_with_the_way_to_it(window: MainWindow) -> None:
    window.install_desk.is_there.emit(AlreadyThere("m is in the library already.", model_id="stage/slow"))
    press(window.banners, "Show in Models")
    assert window._pages.currentIndex() == MODELS
    assert window.models_page.shelf.entry.id == "stage/slow"
    window.install_desk.is_there.emit(AlreadyThere("m is being installed already.", job_id=1))
    press(window.banners, "Show downloads")
    assert window._pages.currentIndex() == DOWNLOADS


def test_a_long_card_is_cut_where_paragraphs_and_tables_end() -> None:
    words, table, lines = "word " * 90 + "\r\n\r\n", "| a |\n|---|\n" + "| x |\n" * 300 + "\n", "end\n" * 3000
    text, pieces = words + table + lines, []
    while text:
        pieces.append(text[: piece_end(text)])
        text = text[len(pieces[-1]) :]
    assert pieces[:2] == [words, table]
    assert "".join(pieces[2:]) == lines
    assert max(map(len, pieces)) <= 4004
