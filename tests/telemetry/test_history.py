"""Figures on disk: bounded, written late, and worth nothing more than themselves when the file is lost."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from app.telemetry import EngineFigures, Gpu, Host, Sample
from app.telemetry.history import BATCH, MINUTES, SECONDS, PerformanceHistory
from backends.protocol import Cells
from tests.patience import PATIENCE, until

NOW = 1_800_000_000.0
ENGINE = EngineFigures("M", "CPU", answer_rate=50.0, cells=Cells(10, 512, 4096))


def sample(moment: float, rate: float = 50.0) -> Sample:
    engine = EngineFigures("M", "CPU", answer_rate=rate, cells=Cells(10, 512, 4096))
    return Sample(moment, Host(1, 2, 1), (Gpu("x", "s", used=7, total=9),), (engine,))


@pytest.fixture
def clock() -> list[float]:
    return [NOW]


@pytest.fixture
def opened(tmp_path: Path, clock: list[float]) -> Callable[[], PerformanceHistory]:
    return lambda: PerformanceHistory(tmp_path / "performance.sqlite3", lambda: clock[0])


def fill(history: PerformanceHistory, clock: list[float], count: int) -> None:
    for _ in range(count):
        clock[0] += 1
        history.take(sample(clock[0]))


def rows(path: Path, table: str) -> int:
    """None, too, while the file is there and its tables are not."""
    with closing(sqlite3.connect(path)) as database, suppress(sqlite3.OperationalError):
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    return 0


def test_what_was_taken_is_told_at_once_and_after_a_restart(
    opened: Callable[[], PerformanceHistory], clock: list[float], tmp_path: Path
) -> None:
    history = opened()
    assert history.recent() == []
    fill(history, clock, BATCH - 1)
    assert not (tmp_path / "performance.sqlite3").exists() or rows(tmp_path / "performance.sqlite3", "second") == 0
    assert [moment.time for moment in history.recent()] == [NOW + 1 + i for i in range(BATCH - 1)]
    history.close(PATIENCE)
    figures = opened().recent()[-1].figures
    assert (figures["answer_rate"], figures["kv_limit"], figures["gpu0_used"]) == (50.0, 4096.0, 7.0)
    assert "gpu0_load" not in figures, "what was unknown is not kept"


def test_it_is_written_by_the_batch_on_a_thread_of_its_own(
    opened: Callable[[], PerformanceHistory], clock: list[float], tmp_path: Path
) -> None:
    history = opened()
    fill(history, clock, BATCH)
    until(lambda: (tmp_path / "performance.sqlite3").exists() and rows(tmp_path / "performance.sqlite3", "second"))
    assert any(thread.name == "performance history" for thread in threading.enumerate())
    history.close(PATIENCE)
    assert not any(thread.name == "performance history" for thread in threading.enumerate())


def test_it_keeps_ten_minutes_and_a_day(
    opened: Callable[[], PerformanceHistory], clock: list[float], tmp_path: Path
) -> None:
    history = opened()
    fill(history, clock, 1300)
    history.close(PATIENCE)
    path = tmp_path / "performance.sqlite3"
    assert SECONDS - BATCH <= rows(path, "second") <= SECONDS + 1
    assert 15 <= rows(path, "minute") <= 21
    clock[0] += MINUTES + SECONDS
    history = opened()
    fill(history, clock, BATCH)
    history.close(PATIENCE)
    assert rows(path, "second") == BATCH
    assert rows(path, "minute") == 0
    assert history.recent(MINUTES) == []


def test_without_a_model_nothing_is_kept(opened: Callable[[], PerformanceHistory], clock: list[float]) -> None:
    history = opened()
    for _ in range(3 * BATCH):
        history.take(Sample(clock[0], Host(1, 2, 1)))
    assert history.recent() == []
    history.close(PATIENCE)


def test_a_minute_is_the_mean_of_what_was_known(opened: Callable[[], PerformanceHistory], clock: list[float]) -> None:
    history = opened()
    for second in range(70):
        clock[0] += 1
        history.take(sample(clock[0], 10.0 if second % 2 else 30.0))
    history.close(PATIENCE)
    minutes = opened().recent(MINUTES)
    assert [round(moment.figures["answer_rate"]) for moment in minutes] == [20]


@pytest.mark.parametrize("content", [b"", b"nonsense" * 200, b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_damaged_file_is_set_aside_and_made_anew(
    opened: Callable[[], PerformanceHistory], clock: list[float], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "performance.sqlite3"
    path.write_bytes(content)
    assert opened().recent() == []
    history = opened()
    fill(history, clock, 2 * BATCH)
    history.close(PATIENCE)
    history = opened()
    fill(history, clock, BATCH)
    history.close(PATIENCE)
    assert len(opened().recent()) >= BATCH


def test_rows_that_we_cannot_have_written_are_passed_over(
    opened: Callable[[], PerformanceHistory], clock: list[float], tmp_path: Path
) -> None:
    history = opened()
    fill(history, clock, BATCH)
    history.close(PATIENCE)
    texts = ("[]", "{", '{"a": "x", "b": 1e999, "answer_rate": 3}', "[" * 100_000, '{"a": NaN}')
    with sqlite3.connect(tmp_path / "performance.sqlite3") as database:
        database.execute("DELETE FROM second")
        for number, text in enumerate(texts):
            database.execute("INSERT INTO second VALUES (?, ?)", (clock[0] - number, text))
    database.close()
    found = opened().recent()
    assert [dict(moment.figures) for moment in found if moment.figures] == [{"answer_rate": 3.0}]


def test_a_disk_that_takes_nothing_costs_the_history_alone(tmp_path: Path, clock: list[float]) -> None:
    (tmp_path / "file").write_text("no folder")
    history = PerformanceHistory(tmp_path / "file" / "performance.sqlite3", lambda: clock[0])
    fill(history, clock, 3 * BATCH)
    assert len(history.recent()) == 3 * BATCH, "what memory has of it"
    history.close(PATIENCE)
