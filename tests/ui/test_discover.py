"""The page Discover over the double: what a person types, sees and clicks, with the network good and bad."""

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMainWindow
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from app.hub.client import HubClient
from app.hub.fit import Machine
from app.hub.repository import SearchQuery
from app.jobs.install_request import Aim, InstallRequest
from tests.hub.conftest import hub_double, running_double  # noqa: F401
from tests.hub.double import HubDouble, HubRepo, many_repos
from tests.library.gguf_bytes import model
from tests.ui.hands import press
from tests.ui.stage import StageServices
from ui.bridge import Bridge
from ui.hub.discover_page import HITS, LOST, NOTHING, OPENED, SHUT, TROUBLE, DiscoverPage
from ui.hub.results_model import ResultRole, ResultsModel
from ui.hub.search_bar import SearchBar
from ui.hub.variants_model import VariantRole
from ui.library.models_model import ModelsModel
from ui.theme import Theme

GB = 1_000_000_000
CARD = b"# A card\n![x](http://evil/x.png)\n[a link](https://site)"


@pytest.fixture
def page(
    services: StageServices,
    bridge: Bridge,
    theme: Theme,
    qtbot: QtBot,
    hub_double: HubDouble,  # noqa: F811
) -> Iterator[DiscoverPage]:
    services.hub.close()
    services.hub = HubClient(hub_double.endpoint, token=services.tokens.token)
    result = DiscoverPage(services, bridge, ModelsModel(services.store, bridge), theme, lambda: (16 * GB, None))
    holder = QMainWindow()
    holder.setCentralWidget(result)
    holder.setMinimumSize(820, 560)
    qtbot.addWidget(holder)
    holder.show()
    yield result
    result.close_down()


@pytest.fixture
def double(hub_double: HubDouble) -> HubDouble:  # noqa: F811
    return hub_double


def find(page: DiscoverPage, qtbot: QtBot, text: str) -> None:
    with qtbot.waitSignal(page.results.arrived):
        page.bar.look_for(text)


def open_first(page: DiscoverPage, qtbot: QtBot) -> None:
    with qtbot.waitSignal(page.desk.opened):
        page.view.setCurrentIndex(page.results.index(0))


def test_typing_asks_once_when_the_person_pauses(qtbot: QtBot) -> None:
    bar = SearchBar()
    qtbot.addWidget(bar)
    asked: list[SearchQuery] = []
    bar.asked.connect(asked.append)
    with qtbot.waitSignal(bar.asked):
        QTest.keyClicks(bar.edit, "qwen")
    assert asked == [SearchQuery("qwen")]
    QTest.keyClick(bar.edit, Qt.Key.Key_Return)  # the same again is no new question
    bar.parameters.setCurrentIndex(1)
    bar.parameters.activated.emit(1)
    assert asked[1:] == [SearchQuery("qwen", max_parameters=2 * GB)]
    with qtbot.waitSignal(bar.asked):
        bar.edit.clear()
    with qtbot.waitSignal(bar.emptied):
        bar.parameters.setCurrentIndex(0)
        bar.parameters.activated.emit(0)


def test_a_start_shows_what_to_type_and_a_chip_searches(page: DiscoverPage, double: HubDouble, qtbot: QtBot) -> None:
    assert page.beginning.isVisible()
    assert not double.requests  # nothing is asked before a person does
    double.add(HubRepo("org/SmolLM2-135M"))
    with qtbot.waitSignal(page.results.arrived):
        press(page.beginning, "SmolLM2")
    assert page.view.isVisible()
    assert page.results.index(0).data() == "org/SmolLM2-135M"
    with qtbot.waitSignal(page.bar.emptied):
        page.bar.edit.clear()
    assert page.beginning.isVisible()


def test_results_are_a_sound_item_model_that_grows_as_it_is_scrolled(
    page: DiscoverPage, double: HubDouble, qtbot: QtBot, qtmodeltester: ModelTester
) -> None:
    double.repos.update({repo.id: repo for repo in many_repos(70)})
    find(page, qtbot, "model")
    qtmodeltester.check(page.results)
    qtbot.waitUntil(lambda: not page.results.canFetchMore(page.view.rootIndex()) or page.results.rowCount() >= 60)
    while page.results.rowCount() < 70:
        with qtbot.waitSignal(page.results.rowsInserted):
            page.view.scrollToBottom()
    assert not page.results.canFetchMore(page.view.rootIndex())
    assert page.status.text() == "70 models"
    assert page.results.index(3).data(ResultRole.DETAIL).startswith(("135", "270", "405", "1.", "2.", "3.", "4.", "5."))


class SlowClient(HubClient):
    """Answers when it is told to, in any order."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", token=lambda: None)


class HeldBridge:
    """A bridge whose workers finish when the test says so."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any, Any]] = []

    def call(self, function: Any, done: Any, failed: Any = None) -> None:
        self.calls.append((function, done, failed))


def test_an_answer_that_comes_late_is_dropped(bridge: Bridge) -> None:
    from app.hub.client import Page
    from app.hub.repository import RepositorySummary

    model = ResultsModel(SlowClient(), bridge)
    held = HeldBridge()
    model._bridge = held  # type: ignore[assignment]
    model.search(SearchQuery("first"))
    model.search(SearchQuery("second"))
    (_, first, first_failed), (_, second, _) = held.calls
    second(Page((RepositorySummary("org/second"),), None))
    first(Page((RepositorySummary("org/first"),), None))
    first_failed(RuntimeError("late"))
    assert [hit.id for hit in model.hits] == ["org/second"]
    model.clear()
    second(Page((RepositorySummary("org/second"),), None))
    assert not model.hits


def test_a_repository_that_is_left_behind_does_not_open(page: DiscoverPage, double: HubDouble, qtbot: QtBot) -> None:
    for name in ("a", "b"):
        double.add(HubRepo(f"org/{name}", {"README.md": CARD}))
    opened: list[str] = []
    page.desk.opened.connect(lambda: opened.append(page.desk.repository.id))  # type: ignore[union-attr]
    with qtbot.waitSignal(page.desk.opened):
        page.desk.open("org/a")
        page.desk.open("org/b")
    qtbot.waitUntil(lambda: len([seen for seen in double.requests if "README" in seen.path]) == 2)
    assert opened == ["org/b"]


def test_nothing_found_says_what_to_change(page: DiscoverPage, qtbot: QtBot) -> None:
    find(page, qtbot, "zzz")
    assert page._left.currentIndex() == NOTHING
    assert "Try fewer words" in page._left.currentWidget().findChildren(type(page.status))[1].text()


def test_without_a_network_the_page_says_so_and_retry_helps(
    page: DiscoverPage, double: HubDouble, qtbot: QtBot
) -> None:
    double.add(HubRepo("org/m"))
    double.fail(on="/api/models", status=503, times=1)
    with qtbot.waitSignal(page.results.failed):
        page.bar.look_for("m")
    assert page._left.currentIndex() == TROUBLE
    assert "has trouble of its own (503)" in page.trouble.text
    with qtbot.waitSignal(page.results.arrived):
        press(page.trouble, "Retry")
    assert page._left.currentIndex() == HITS


def test_a_repository_that_cannot_be_read_is_asked_for_again(
    page: DiscoverPage, double: HubDouble, qtbot: QtBot
) -> None:
    double.add(HubRepo("org/m"))
    find(page, qtbot, "m")
    double.fail(on="/api/models/*", status=500, times=1)
    with qtbot.waitSignal(page.desk.failed):
        page.desk.open("org/m")
    assert page._right.currentIndex() == LOST
    with qtbot.waitSignal(page.desk.opened):
        press(page.lost, "Retry")
    assert page._right.currentIndex() == OPENED


def test_a_next_page_that_fails_keeps_what_was_found(page: DiscoverPage, double: HubDouble, qtbot: QtBot) -> None:
    double.repos.update({repo.id: repo for repo in many_repos(40)})
    page.view.hide()  # a list that is seen asks for more by itself
    find(page, qtbot, "model")
    double.fail(on="/api/models", status=429, headers={"Retry-After": "9"}, times=1)
    with qtbot.waitSignal(page.results.failed):
        page.results.fetchMore(page.view.rootIndex())
    assert page.results.rowCount() == 30
    assert "Try again in 9 seconds." in page.status.text()
    page.view.show()
    with qtbot.waitSignal(page.results.arrived):
        press(page, "Retry")
    assert page.results.rowCount() == 40


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
    qtbot.waitUntil(lambda: variants.index(0).data(VariantRole.DETAIL) == "Runs on this machine")
    assert "4,096" in page.pane._figures.text()  # of the header: the page does not say
    page.pane.take_machine(Machine(100_000_000))
    assert variants.index(0).data(VariantRole.DETAIL).startswith("Too large: needs about 0.3 GB")
    assert variants.index(0).data(VariantRole.TONE) == "warning_text"
    page.pane.take_library(frozenset({double.repos["org/m"].file("m-Q8_0.gguf").sha256}))  # type: ignore[union-attr]
    assert variants.index(1).data(VariantRole.DETAIL) == "You already have this"
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
    qtbot.waitUntil(lambda: bar.note.text() == "About 4.9 GB once it is converted. Runs on this machine.")
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
