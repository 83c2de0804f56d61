"""Multiple choice and kernel noise beside a text, in real children: tiny models by plain numpy, SmolLM2 as it is."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from app.errors import EvaluationError
from app.lab.evaluate import evaluate
from app.lab.settings import Settings
from app.lab.text import SHIPPED_CHOICES
from backends.quality.choices import Item, read_items
from tests.convert import reference
from tests.lab.conftest import Made, Measure
from tests.quality.brute import log_softmax


def by_hand(made: Made, item: Item) -> int:
    """The ending with the highest mean log probability, one whole text after the other."""
    tokenizer = Tokenizer.from_file(str(made.file.with_suffix("") / "tokenizer.json"))
    texts = [tokenizer.encode(f"{item.beginning} {ending}").ids for ending in item.endings]
    shared = next(i for i in range(min(map(len, texts))) if len({text[i] for text in texts}) > 1)
    means = []
    for text in texts:
        log_p = log_softmax(reference.logits(made.settings, made.tensors, text[:-1]))
        means.append(np.mean([log_p[i - 1, text[i]] for i in range(shared, len(text))]))
    return int(np.argmax(means))


def few(folder: Path, count: int) -> tuple[Path, tuple[Item, ...]]:
    lines = SHIPPED_CHOICES.read_text("utf-8").split("\n")[: 6 * count]
    (folder / "few.txt").write_text("\n".join(lines), "utf-8")
    return folder / "few.txt", read_items("\n".join(lines))


def test_answers_are_those_of_a_plain_forward_pass(
    measure: Measure, original: Made, altered: Made, tmp_path: Path
) -> None:
    file, items = few(tmp_path, 10)
    found = measure(altered.file, original.file, has_choices=True, choices=file, has_noise=True)
    right = [item.right for item in items]
    ours, base = ([by_hand(made, item) for item in items] for made in (altered, original))
    assert found.choices is not None
    assert found.choices.num_items == 10
    assert found.choices.accuracy == np.mean([a == b for a, b in zip(ours, right, strict=True)])
    assert found.choices.reference_accuracy == np.mean([a == b for a, b in zip(base, right, strict=True)])
    assert found.choices.same_answers == np.mean([a == b for a, b in zip(ours, base, strict=True)])
    exact = measure(altered.file, original.file, has_choices=True, choices=file, exact=True)
    assert exact.choices is not None
    assert exact.choices.same_answers == found.choices.same_answers
    assert found.noise is not None
    assert found.noise.mean < 1e-6  # weights in F32 know no other rounding
    assert found.noise.same_top == 1.0


def test_nothing_is_measured_that_nobody_asked_for(measure: Measure, q4: Path) -> None:
    found = measure(q4)
    assert (found.choices, found.noise) == (None, None)


def test_items_that_are_none_are_told(measure: Measure, q4: Path, text: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="A multiple-choice file has 6 lines for each item"):
        measure(q4, has_choices=True, choices=text)
    with pytest.raises(EvaluationError, match="cannot be read"):
        measure(q4, has_choices=True, choices=tmp_path / "missing.txt")


def test_a_real_model_knows_more_than_guessing_and_scatters(smollm2: Path, tmp_path: Path) -> None:
    """Its published Q4_1 file: half of ten items; the noise of its kernels is not nothing."""
    file, _ = few(tmp_path, 10)
    settings = Settings(context=128, num_chunks=2, has_choices=True, choices=file, has_noise=True)
    found = evaluate(smollm2, settings=settings, logs=tmp_path, cache=tmp_path / "cache")
    assert found.choices is not None
    assert found.choices.accuracy >= 0.5
    assert found.choices.low < found.choices.accuracy <= found.choices.high
    assert found.noise is not None
    assert 1e-4 < found.noise.mean < 0.05
    assert 0.8 < found.noise.same_top < 1.0
    assert found.noise.num_tokens == 2 * 63
