"""The Lab page, the picture and a model's card, with real widgets."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.jobs.job import Job, JobState
from app.lab.card import Card
from tests.lab.cards import card, evaluation, family
from tests.ui.stage import StageServices
from ui.lab.axis import Axis
from ui.lab.card_view import CardView
from ui.lab.cards_model import CardsModel
from ui.lab.points import Measure, points
from ui.lab.quality_plot import QualityPlot
from ui.lab.rows import rows
from ui.lab.speed_scale import _written
from ui.main_window import LAB, MainWindow
from ui.theme import Theme


@pytest.fixture
def plot(theme: Theme, qtbot: QtBot) -> Iterator[QualityPlot]:
    result = QualityPlot(theme)
    qtbot.addWidget(result)
    result.resize(720, 420)
    result.set_cards(family())
    result.show()
    yield result
    theme.choose("light")


def pixel(image: QImage, at: QPointF) -> QColor:
    scale = image.devicePixelRatio()
    return image.pixelColor(int(at.x() * scale), int(at.y() * scale))


def test_smaller_and_worse_lies_at_the_left_and_higher(plot: QualityPlot) -> None:
    places = [plot.place(point) for point in points(family(), Measure.DIVERGENCE)]
    assert [at.x() for at in places] == sorted(at.x() for at in places)
    assert [at.y() for at in places] == sorted(at.y() for at in places)
    plot.set_measure(Measure.SAME_TOP)
    kept = [plot.place(point) for point in points(family(), Measure.SAME_TOP)]
    assert [at.y() for at in kept] == sorted((at.y() for at in kept), reverse=True)


def test_the_picture_has_speed_as_its_color_in_light_and_dark(plot: QualityPlot, theme: Theme) -> None:
    for tone in ("light", "dark"):
        theme.choose(tone)
        image = plot.picture()
        assert image.width() == 2 * plot.width()
        small, *_, original = points(family(), Measure.DIVERGENCE)
        fast, slow = (pixel(image, plot.place(point)) for point in (small, original))
        assert fast == QColor(theme.palette.accent)
        assert slow.hue() < 60 < fast.hue()  # amber, teal
        assert pixel(image, QPointF(2, 2)) == QColor(theme.palette.canvas)


def test_values_can_be_reached_by_keys_and_by_mouse(plot: QualityPlot, qtbot: QtBot) -> None:
    chosen: list[Card | None] = []
    plot.set_cards(family())  # the focus had chosen the first
    plot.chosen.connect(chosen.append)
    assert plot.accessibleDescription().startswith("8 points.")
    for _ in range(2):
        QTest.keyClick(plot, Qt.Key.Key_Right)
    assert plot.selected is not None
    assert "3.2 GB" not in plot.accessibleDescription()
    assert plot.accessibleDescription().startswith("Q3_K_M  ·  4.0 GB  ·  KL divergence 0.1012 ± 0.0020")
    QTest.keyClick(plot, Qt.Key.Key_Left)
    assert [made.quantization for made in chosen if made] == ["Q2_K", "Q3_K_M", "Q2_K"]
    last = points(family(), Measure.DIVERGENCE)[-2]
    QTest.mouseMove(plot, plot.place(last).toPoint())
    qtbot.waitUntil(lambda: plot.selected == last)


def test_without_cards_it_says_what_to_do(plot: QualityPlot) -> None:
    plot.set_cards([card(evaluation=None)])
    assert plot.accessibleDescription() == "No card has a quality yet."
    QTest.keyClick(plot, Qt.Key.Key_Right)
    assert plot.selected is None
    assert not plot.picture().isNull()


def test_a_single_card_can_be_drawn(plot: QualityPlot) -> None:
    for cards in ([card()], [card(reference=None)]):
        plot.set_cards(cards)
        for measure in Measure:
            plot.set_measure(measure)
            assert not plot.picture().isNull()


@pytest.mark.parametrize(("low", "high"), [(0.001, 0.3), (1e9, 2e10), (0.7, 1.0), (5.0, 5.0001)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    for is_logarithmic in (True, False):
        axis = Axis.around([low, high], is_logarithmic)
        ticks = axis.ticks()
        assert all(axis.low <= tick <= axis.high for tick in ticks)
        assert len(ticks) <= 12
        assert 0 < axis.place(low) < axis.place(high) < 1
    assert len(Axis.around([low, high]).ticks()) >= 3


def test_the_page_lists_draws_and_saves(
    window: MainWindow, services: StageServices, qtbot: QtBot, tmp_path: Path
) -> None:
    for made in family():
        services.lab.cards.save(made)
    window.go_to(LAB)
    page = window.lab
    qtbot.waitUntil(lambda: len(page.model.cards) == 7)
    assert page.table.model().index(0, 0).data() == "Tiny Chat 8B Q2_K"  # smallest first
    page.table.selectRow(0)
    assert "Much worse: same next token in 76.1%" in page._sentence.text()
    for suffix in (".png", ".csv", ".md"):
        page.export(tmp_path / f"cards{suffix}")
        status = (tmp_path / f"cards{suffix}").stat()
        assert status.st_size > 500
        assert status.st_mode & 0o777 == (0o600 if os.name == "posix" else 0o666), "not for others, unless one says so"
    assert QImage(str(tmp_path / "cards.png")).width() == 2 * page.plot.width()
    page.measure.setCurrentIndex(1)
    assert page.plot._measure is Measure.SAME_TOP
    with pytest.raises(OSError):  # noqa: PT011 - whatever the system says
        page.export(tmp_path / "missing" / "cards.png")


@pytest.mark.parametrize("width", [1040, 1200])
def test_every_figure_is_read_without_scrolling_sideways(
    window: MainWindow, services: StageServices, qtbot: QtBot, width: int
) -> None:
    for made in family():
        services.lab.cards.save(made)
    window.resize(width, 800)
    window.go_to(LAB)
    table = window.lab.table
    qtbot.waitUntil(lambda: len(window.lab.model.cards) == 7)
    qtbot.waitUntil(lambda: table.verticalScrollBar().maximum() > 0)
    header = table.horizontalHeader()
    assert table.horizontalScrollBar().maximum() == 0
    metrics = header.fontMetrics()
    for column in range(1, header.count()):
        title = str(window.lab.model.headerData(column, Qt.Orientation.Horizontal))
        assert header.sectionSize(column) >= max(map(metrics.horizontalAdvance, title.split("\n")))
        assert header.sectionSize(column) >= table.sizeHintForColumn(column)
    assert header.sectionSize(0) >= 140, "and of the name enough to know it"


def test_the_original_has_a_row_of_its_own(window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    for made in family():
        services.lab.cards.save(made)
    window.go_to(LAB)
    page = window.lab
    qtbot.waitUntil(lambda: len(page.model.cards) == 7)
    shown = page.table.model()
    found = [[shown.index(row, column).data() for column in range(shown.columnCount())] for row in range(8)]
    assert found[-1] == [
        "tiny-chat-8b-F16", "F16", "16.1 GB", "15.99", "n/a", "original", "72.1%", "6.5", "5.0 GB",
    ]  # fmt: skip
    page.table.selectRow(7)
    assert page._sentence.text() == "tiny-chat-8b-F16: The original that the others are compared to."
    own = card("F16", name="tiny-chat-8b-F16", bytes=family()[0].reference.bytes, evaluation=None)  # type: ignore[union-attr]
    assert len(rows([*family(), own])) == 8, "one that was measured itself is not listed twice"


def test_the_table_is_a_sound_model(qtmodeltester) -> None:
    model = CardsModel()
    model.set_cards([*family(), replace(card(), evaluation=None)])
    qtmodeltester.check(model)


def test_a_card_warns_of_what_is_worse(qtbot: QtBot) -> None:
    view = CardView()
    qtbot.addWidget(view)
    view.show_card(None, "tiny-F16.gguf")
    assert view.measure.text() == "Measure this model"
    assert "compared with those of tiny-F16.gguf" in view._hint.text()
    view.show_card(card(), None)
    assert view.measure.text() == "Measure again"
    assert view._verdict.property("kind") == "strong"
    assert "93.2% ± 0.3% same next token" in view._values["Quality"].text()
    assert (
        view._values["Multiple choice"]
        .text()
        .startswith("70.4% right, was 72.1%; 93.9% of the answers are the same\n±")
    )
    assert "the divergence above is 15 times as large" in view._values["Kernel noise"].text()
    view.show_card(family()[0], None)
    assert "most of the divergence above is this noise" in view._values["Kernel noise"].text()
    view.show_card(card(evaluation=replace(evaluation(0.03, 0.9), choices=None, noise=None)), None)
    assert not view._form.isRowVisible(view._values["Multiple choice"])
    view.show_card(family()[-1], None)
    assert view._verdict.property("kind") == "problem"


def test_measuring_shows_its_progress_and_can_be_cancelled(qtbot: QtBot) -> None:
    view = CardView()
    qtbot.addWidget(view)
    running = Job(7, "Measure Tiny", ("Measure",), JobState.RUNNING, 0, 0.4, "reading")
    view.show_card(None)
    view.show_job(running)
    assert view.measure.isHidden()
    with qtbot.waitSignal(view.cancel_clicked) as clicked:
        assert view._job is not None
        view._job.cancel_clicked.emit(7)
    assert clicked.args == [7]
    view.show_job(replace(running, state=JobState.FAILED, error="It has no tokenizer."))
    assert not view.measure.isHidden()
    view.show_job(replace(running, state=JobState.DONE))
    assert view._job is None


def test_a_file_that_nobody_was_asked_about_is_not_written_over(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    there = tmp_path / "cards.csv"
    there.write_text("mine")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "cards"), ""))
    with qtbot.waitSignal(window.lab.refused) as refused:
        window.lab._ask_where(".csv")
    assert "cards.csv is there already" in refused.args[0]
    assert there.read_text() == "mine"


def test_a_second_look_at_the_page_keeps_the_point_that_is_chosen(window: MainWindow) -> None:
    window.lab.show_cards(family())
    QTest.keyClick(window.lab.plot, Qt.Key.Key_Right)
    chosen = window.lab.plot.selected
    window.lab.show_cards(family())
    assert chosen is not None
    assert window.lab.plot.selected == chosen


def test_speeds_are_written_as_people_write_them() -> None:
    assert [_written(speed) for speed in (0.4567, 23.46, 1073.8)] == ["0.457", "23.5", "1,074"]
