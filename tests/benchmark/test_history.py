"""Runs over time: whole ones, bounded, on a disk that may hold anything, and those of another machine."""

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from app.bench import history as module
from app.bench.figures import Figures
from app.bench.history import BenchHistory, read_runs, to_json
from app.bench.tuned import Purpose, Tuned
from app.errors import BenchError
from app.library.defaults import NO_DEFAULTS, ModelDefaults
from backends.protocol import FlashAttention
from tests.benchmark.figures import SUBJECT, compared, figures

TUNED = Tuned(
    identity="0123",
    name="Tiny",
    purpose=Purpose.CHAT,
    machine="A processor, 2 cores",
    num_cores=2,
    build="llama.cpp 1",
    measured="2026-11-30T09:58:00+00:00",
    before=NO_DEFAULTS,
    after=ModelDefaults({"threads": 1, "flash_attention": FlashAttention.OFF}),
    equal=compared((20, 20.2), (20.1, 20.1)),
    gain=compared((20, 20.2), (25, 25.2)),
)


@pytest.fixture
def kept(tmp_path: Path) -> BenchHistory:
    return BenchHistory(tmp_path / "data" / "benchmarks.sqlite3")


def measured(day: int, **changes: Any) -> Figures:
    return figures(subject=replace(SUBJECT, measured=f"2026-11-{day:02d}T10:00:00+00:00", **changes))


def test_a_run_comes_back_as_it_was(kept: BenchHistory, tmp_path: Path) -> None:
    run = kept.add(figures())
    (again,) = BenchHistory(tmp_path / "data" / "benchmarks.sqlite3").runs()
    assert again == run
    assert again.figures == figures()
    assert kept.run(run.id).speed == 92
    assert kept.runs("another content") == []


def test_what_was_stopped_is_never_kept(kept: BenchHistory) -> None:
    with pytest.raises(BenchError, match="only whole ones"):
        kept.add(figures(is_whole=False))
    assert kept.runs() == []


def test_the_oldest_leave(kept: BenchHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RUNS", 2)
    for day in (1, 2, 3):
        kept.add(measured(day))
    assert [run.figures.subject.measured[8:10] for run in kept.runs()] == ["03", "02"]
    kept.remove(kept.runs()[0].id)
    assert len(kept.runs()) == 1
    with pytest.raises(BenchError, match="There is no run 1"):
        kept.run(1)


@pytest.mark.parametrize(
    "content", [b"no database at all, but as long as a page " * 30, b"SQLite format 3\0" + bytes(900)]
)
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(kept: BenchHistory, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "data" / "benchmarks.sqlite3"
    file.parent.mkdir(mode=0o700)
    file.write_bytes(content)
    assert kept.runs() == []
    assert file.with_name("benchmarks.sqlite3.broken-1").read_bytes() == content
    assert kept.add(figures()).id == 1


def test_a_newer_slipstreams_file_is_left_alone(kept: BenchHistory, tmp_path: Path) -> None:
    kept.add(figures())
    with closing(sqlite3.connect(tmp_path / "data" / "benchmarks.sqlite3")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(BenchError, match="a newer Slipstream has written it"):
        kept.runs()
    assert [file.name for file in (tmp_path / "data").iterdir() if "broken" in file.name] == []


def test_a_row_that_we_cannot_have_written_hides_no_other(kept: BenchHistory, tmp_path: Path) -> None:
    kept.add(figures())
    with closing(sqlite3.connect(tmp_path / "data" / "benchmarks.sqlite3")) as database, database:
        for text in ("{}", "[]", "no JSON", json.dumps(asdict(figures(bandwidth=1e300)))):
            database.execute("INSERT INTO run (kept, identity, is_foreign, figures) VALUES (0, '', 0, ?)", (text,))
    assert len(kept.runs()) == 1


def test_another_machines_runs_come_in_once(kept: BenchHistory, tmp_path: Path) -> None:
    file = tmp_path / "theirs.json"
    theirs = [measured(1, machine="Theirs"), measured(2, machine="Theirs"), figures(is_whole=False)]
    file.write_text(to_json(theirs), "utf-8")
    assert [run.is_foreign for run in kept.bring_in(file)] == [True, True]
    assert {run.figures.subject.machine for run in kept.runs()} == {"Theirs"}
    with pytest.raises(BenchError, match="in the history already"):
        kept.bring_in(file)


def _changed(**changes: Any) -> str:
    document = json.loads(to_json([figures()]))
    return json.dumps({**document, **changes})


def _with(path: str, value: Any) -> str:
    document = json.loads(to_json([figures()]))
    place, *rest, last = path.split(".")
    at = document["models"][0][place] if place else document["models"][0]
    for key in rest:
        at = at[int(key)] if key.isdecimal() else at[key]
    at[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no JSON", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "holds no benchmark"),
        (_changed(format="another"), "holds no benchmark"),
        (_changed(version=9), "newer Slipstream"),
        (_changed(models={}), "names no models"),
        (_changed(models=[1, None]), "no run that was measured to its end"),
        (_with("subject.measured", "yesterday"), "no run"),
        (_with("subject.num_cores", 0), "no run"),
        (_with("subject.bytes", True), "no run"),
        (_with("subject.name", "x" * 20_000), "no run"),
        (_with("answers.0.speed.values", []), "no run"),
        (_with("answers.0.speed.values", [-1.0]), "no run"),
        (_with("answers.0.speed.values", [float("nan")]), "no run"),
        (_with("answers.0.speed.values", ["1"]), "no run"),
        (_with("answers.0.speed.values", [1.0] * 5000), "no run"),
    ],
)
def test_what_is_no_run_is_refused_with_a_sentence(kept: BenchHistory, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "theirs.json"
    file.write_text(text, "utf-8")
    with pytest.raises(BenchError, match=words):
        kept.bring_in(file)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="cannot be read"):
        read_runs(tmp_path / "missing.json")
    with pytest.raises(BenchError, match="cannot be read"):
        read_runs(tmp_path)


def test_what_a_later_version_knows_is_passed_over_and_what_an_earlier_one_did_not_has_its_default(
    tmp_path: Path,
) -> None:
    document = json.loads(to_json([figures()]))
    document["models"][0]["of a later version"] = 1
    del document["models"][0]["equal"]
    file = tmp_path / "theirs.json"
    file.write_text(json.dumps(document), "utf-8")
    assert read_runs(file) == [figures(equal=None)]


def test_what_tuning_found_last_is_kept_for_each_purpose(kept: BenchHistory) -> None:
    assert kept.tuned("0123", Purpose.CHAT) is None
    kept.keep_tuned(replace(TUNED, name="Before"))
    kept.keep_tuned(TUNED)
    kept.keep_tuned(replace(TUNED, purpose=Purpose.BATCH))
    assert kept.tuned("0123", Purpose.CHAT) == TUNED
    assert kept.tuned("0123", Purpose.BATCH) == replace(TUNED, purpose=Purpose.BATCH)
