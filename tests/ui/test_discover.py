"""The page Discover over the double: what a person types, sees and clicks, with the network good and bad."""

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from app.hub.client import HubClient
from app.hub.repository import SearchQuery
from tests.hub.double import HubDouble, HubRepo, many_repos
from tests.ui.discovering import GB, find
from tests.ui.hands import press
from ui.bridge import Bridge
from ui.hub.discover_page import HINT, HITS, LOST, NOTHING, OPENED, TROUBLE, DiscoverPage
from ui.hub.results_model import ResultRole, ResultsModel
from ui.hub.search_bar import SearchBar

CARD = b"# A card\n![x](http://evil/x.png)\n[a link](https://site)"


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
    assert not page._right.isVisible()
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


def test_what_is_open_stays_open_while_a_new_search_finds_it(
    page: DiscoverPage, double: HubDouble, qtbot: QtBot
) -> None:
    for name in ("a-one", "b-one", "c-two"):
        double.add(HubRepo(f"org/{name}", {"README.md": CARD}))
    find(page, qtbot, "one")
    with qtbot.waitSignal(page.desk.opened):
        page.view.setCurrentIndex(page.results.index(page.results.row_of("org/b-one") or 0))
    repository = page.desk.repository
    find(page, qtbot, "b-one")
    assert page.view.currentIndex().row() == 0
    assert page.desk.repository is repository  # and is not read again
    find(page, qtbot, "two")
    assert page.desk.repository is None
    assert page._right.currentIndex() == HINT
