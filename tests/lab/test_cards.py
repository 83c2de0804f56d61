"""Cards: what they say, how they are kept, how they leave."""

import csv
import io
import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import Cancelled, EvaluationError
from app.jobs.evaluate import MeasureModel
from app.jobs.job import JobState
from app.jobs.queue import JobQueue
from app.lab.card import Card, verdict
from app.lab.card_store import CardStore
from app.lab.export import to_csv, to_markdown
from app.lab.lab import Lab
from app.lab.machine import machine_name
from app.lab.settings import Settings
from app.paths import Paths
from backends.formats.identity import identity
from tests.lab.cards import FULL_BYTES, card, evaluation, family, speed
from tests.lab.conftest import CONTEXT, Made
from tests.patience import PATIENCE


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(Paths.below(tmp_path / "home"), lambda: True)


@pytest.fixture
def quick(text: Path) -> Settings:
    return Settings(text=text, context=CONTEXT, threads=1)


def test_a_card_of_a_real_file(lab: Lab, quick: Settings, original: Made, q4: Path, tmp_path: Path) -> None:
    made = lab.measure(q4, original.file, settings=quick, name="Tiny")
    assert (made.name, made.quantization, made.bytes) == ("Tiny", "Q4_0", q4.stat().st_size)
    assert 4.5 <= made.bits_per_weight < 8
    assert made.kld is not None
    assert made.kld.mean > 0
    assert made.reference is not None
    assert made.reference.bytes == original.file.stat().st_size
    for measured in (made.speed, made.reference.speed):
        assert measured is not None
        assert min(measured.load_seconds, measured.prompt_per_second, measured.decode_per_second) > 0
        assert 20_000_000 < measured.memory_bytes < 1_000_000_000
    assert machine_name() in made.machine
    renamed = shutil.copy(q4, tmp_path / "another name.gguf")
    assert lab.cards_of(Path(renamed)) == [made]
    assert lab.cards_of(original.file) == []


def test_the_job_reports_and_leaves_no_card_when_called_off(lab: Lab, quick: Settings, q4: Path) -> None:
    queue = JobQueue()
    try:
        done = queue.add(MeasureModel(lab, "Tiny", q4, None, quick))
        assert done.wait(PATIENCE).state is JobState.DONE
        assert done.job.title == "Measure Tiny"
        assert lab.cards.cards() == [done.result]
        assert "quality is unknown" in verdict(done.result)  # nothing was there to compare with
        lab.cards.remove(done.result)
    finally:
        queue.close()
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        lab.measure(q4, None, lambda _: cancelled.set(), cancelled, settings=quick)
    assert lab.cards.cards() == []


def test_identity_is_of_the_content(original: Made, altered: Made, q4: Path, tmp_path: Path) -> None:
    files = [original.file, altered.file, q4]
    assert len({identity(file) for file in files}) == 3
    copy = Path(shutil.copy(q4, tmp_path / "copy.gguf"))
    assert identity(copy) == identity(q4)
    with copy.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    assert identity(copy) != identity(q4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Close to the original: same next token in 93.2%; 3.3 times smaller; 3.1 times faster here"),
        ({"evaluation": evaluation(0.001, 0.989)}, "Practically the same answers: same next token in 98.9%"),
        ({"evaluation": evaluation(0.1, 0.87)}, "Noticeably worse: same next token in 87.0%"),
        ({"evaluation": evaluation(0.9, 0.5)}, "Much worse: same next token in 50.0%"),
        ({"speed": speed(6.6)}, "as fast here, compared to F16."),
        ({"speed": speed(3.25)}, "2.0 times slower here"),
        ({"bytes": FULL_BYTES}, "; as large; "),
        ({"evaluation": None, "reference": None}, "Its quality is unknown"),
        ({"evaluation": None, "reference": None, "quantization": "BF16"}, "Nothing was given up"),
        ({"bytes": 2 * FULL_BYTES}, "; 2.0 times larger; "),
    ],
)
def test_the_price_is_named_before_the_gain(changes: dict, words: str) -> None:
    assert words in verdict(card(**changes))


def test_what_is_faster_and_worse_warns() -> None:
    assert [made.is_worse for made in family()] == [False, False, False, False, True, True, True]


def test_cards_are_kept_one_for_each_content_machine_and_cache(tmp_path: Path) -> None:
    store = CardStore(tmp_path / "cards")
    assert store.cards() == []
    old, new = card(), card(made="2026-11-23T10:00:00+00:00", name="renamed")
    others = [
        card("Q8_0", made="2026-11-20T10:00:00+00:00"),
        card(machine="Another machine", made="2026-11-19T10:00:00+00:00"),
        card(evaluation=evaluation(0.05, 0.9, "q8_0"), made="2026-11-18T10:00:00+00:00"),
    ]
    for one in (old, *others, new):
        store.save(one)
    assert store.cards() == [new, *others]
    assert store.of(new.identity) == [new, *others[1:]]
    store.remove(new)
    store.remove(new)
    assert store.cards() == others
    assert not list((tmp_path / "cards").glob("*.part"))


def test_a_card_with_quality_takes_the_place_of_one_without(tmp_path: Path) -> None:
    store = CardStore(tmp_path)
    store.save(card(evaluation=None, reference=None))
    store.save(card())
    assert store.cards() == [card()]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda _text: "[]",
        lambda text: text.replace('"version": 2', '"version": 3'),
        lambda text: text.replace('"num_items": 208', '"num_items": "many"'),
        lambda text: text.replace('"bytes": 4920000000', '"bytes": "much"'),
        lambda text: text.replace('"mean"', '"mien"'),
        lambda _text: "[" * 100_000,
    ],
)
def test_a_damaged_card_is_passed_over(tmp_path: Path, damage) -> None:
    store = CardStore(tmp_path)
    store.save(card("Q8_0"))
    (good,) = tmp_path.glob("*.json")
    text = good.read_text("utf-8").replace(card("Q8_0").identity, "other")
    (tmp_path / "x.card.json").write_text(damage(text), "utf-8")
    assert store.cards() == [card("Q8_0")]


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EvaluationError, match="could not be kept"):
        CardStore(tmp_path / "file").save(card())


def test_cards_leave_as_csv_and_markdown() -> None:
    cards = [card(name="=1+1 | evil"), replace(card("Q8_0"), evaluation=None, reference=None)]
    first, second = csv.DictReader(io.StringIO(to_csv(cards)))
    assert first["model"] == "'=1+1 | evil"
    assert float(first["mean KLD"]) == 0.0313
    assert second["mean KLD"] == ""
    assert second["VRAM bytes"] == ""
    assert first["verdict"] == verdict(cards[0])
    header, rule, *rows = to_markdown(cards).splitlines()
    assert len(rows) == 2
    assert header.count("|") == rule.count("|") == rows[1].count("|")
    assert "=1+1 \\| evil" in rows[0]


def test_a_card_of_the_first_version_is_read_without_what_it_did_not_know(tmp_path: Path) -> None:
    store, made = CardStore(tmp_path), card()
    store.save(made)
    (file,) = tmp_path.glob("*.json")
    document = json.loads(file.read_text("utf-8")) | {"version": 1}
    for name in ("choices", "noise"):
        del document["card"]["evaluation"][name]
    file.write_text(json.dumps(document), "utf-8")
    assert made.evaluation is not None
    assert store.cards() == [replace(made, evaluation=replace(made.evaluation, choices=None, noise=None))]
    store.save(made)  # it is a card: measured anew, it is written over and not set aside
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert store.cards() == [made]


def test_a_card_tells_multiple_choice_and_noise() -> None:
    (row,) = csv.DictReader(io.StringIO(to_csv([card()])))
    assert float(row["multiple choice"]) == pytest.approx(0.70435)
    assert float(row["kernel noise KLD"]) == 0.0021
    (bare,) = csv.DictReader(io.StringIO(to_csv([card(evaluation=None, reference=None)])))
    assert (bare["multiple choice"], bare["kernel noise KLD"]) == ("", "")


def test_cards_are_plain_json(tmp_path: Path) -> None:
    store, made = CardStore(tmp_path), card()
    store.save(made)
    (file,) = tmp_path.glob("*.json")
    document = json.loads(file.read_text("utf-8"))
    assert document["card"]["evaluation"]["kld"]["mean"] == 0.0313
    assert isinstance(made, Card)
