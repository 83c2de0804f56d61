"""`slipstream evaluate`, as it is typed."""

import argparse
import json
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from app.__main__ import main
from app.cli.evaluate import _evaluate, _settings, add_arguments, describe, describe_card
from app.lab.settings import DEFAULT, WHOLE, Settings
from app.lab.text import SHIPPED_CHOICES
from app.services import Services
from tests.cli.test_commands import slipstream
from tests.lab.cards import card, evaluation
from tests.lab.conftest import SENTENCE, make


def test_an_object_for_programs_and_a_card_on_the_shelf(tmp_path: Path) -> None:
    tiny, altered = make(tmp_path, "tiny"), make(tmp_path, "altered", noise=0.05)
    text = tmp_path / "text.txt"
    text.write_text(SENTENCE * 4, "utf-8")
    items = tmp_path / "items.txt"
    items.write_text("\n".join(SHIPPED_CHOICES.read_text("utf-8").split("\n")[:60]), "utf-8")
    options = ["--text", str(text), "--choices", str(items), "--context", "32", "--threads", "1", "--card", "--json"]
    result = slipstream(
        "evaluate", str(altered.file), "--against", str(tiny.file), *options, SLIPSTREAM_HOME=str(tmp_path)
    )
    assert result.returncode == 0, result.stderr
    card = json.loads(result.stdout)
    assert card["evaluation"]["kld"]["mean"] > 0
    assert card["evaluation"]["choices"]["num_items"] == 10
    assert card["evaluation"]["noise"]["num_tokens"] > 0
    assert card["speed"]["decode_per_second"] > 0
    assert len(list(tmp_path.rglob("*.card.json"))) == 1
    assert list(tmp_path.rglob("work-*")) == []


def test_a_table_for_people() -> None:
    said = describe_card(card())
    assert said.startswith("Tiny Chat 8B Q4_K_M: Close to the original: same next token in 93.2%;")
    for line in ("KL divergence, mean          0.031300 ± 0.000626", "Same first choice            93.20% ± 0.30%"):
        assert line in said
    for line in (
        "Kernel noise, KL divergence  0.002100 ± 0.000100 (without flash attention, in batches of 32)",
        "Multiple choice              70.43%, 64.1% to 76.1% (95 %), 208 items",
        "Multiple choice, reference   72.10%; 93.9% of the answers are the same",
    ):
        assert line in said
    assert "known to within" not in said
    kld = replace(evaluation(0.03, 0.9).kld, approximation=0.0001)  # type: ignore[type-var]
    assert "The mean is known to within  ± 0.0001" in describe(replace(evaluation(0.03, 0.9), kld=kld))


def test_a_table_says_which_files_it_is_about() -> None:
    services = cast(Services, SimpleNamespace(lab=SimpleNamespace(evaluate=lambda *_, **__: evaluation(0.03, 0.9))))
    arguments = (DEFAULT, lambda _: None, threading.Event())
    report, said = _evaluate(services, Path("a/small.gguf"), Path("a/large.gguf"), *arguments)
    assert said.startswith("small.gguf, compared to large.gguf\n\nPerplexity ")
    assert report["against"] == str(Path("a/large.gguf"))
    assert _evaluate(services, Path("a/small.gguf"), None, *arguments)[1].startswith("small.gguf\n\n")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], Settings()),
        (["--choices"], Settings(has_choices=True)),
        (["--choices", "mine.txt"], Settings(has_choices=True, choices=Path("mine.txt"))),
        (["--noise"], Settings(has_noise=True)),
        (["--card"], WHOLE),
    ],
)
def test_what_is_measured_is_what_was_asked_for(options: list[str], expected: Settings) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert _settings(parser.parse_args(["a.gguf", *options])) == expected


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--threads", "0"], "--threads must be at least 1, not 0."),
        (["--gpu-layers", "-1"], "--gpu-layers must be at least 0, not -1."),
        (["--exact"], "--exact compares two models: name the other one with --against."),
    ],
)
def test_wrong_use_is_told(wrong: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "a.gguf", *wrong]) == 2
    assert capsys.readouterr().err == f"slipstream: {words}\n"
