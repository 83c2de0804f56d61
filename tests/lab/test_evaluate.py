"""Perplexity and divergence of real tiny models in real children, against a forward pass in plain numpy."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from app.errors import Cancelled, EvaluationError, ModelFileError
from app.lab import evaluate as module
from app.lab.text import SHIPPED, read_text
from backends.child import Progress
from backends.formats.kept_references import MAGIC
from backends.ownership.directory import open_directory
from backends.ownership.folder import OwnedFolder
from backends.ownership.mark import NAME as MARK
from backends.protocol import KVType
from tests.convert import reference
from tests.lab.conftest import CONTEXT, SENTENCE, Made, Measure
from tests.quality.brute import divergences, log_softmax


def chunks(made: Made, text: Path, length: int = CONTEXT) -> list[list[int]]:
    """The text as tools/perplexity cuts it."""
    tokenizer = Tokenizer.from_file(str(made.file.with_suffix("") / "tokenizer.json"))
    tokens = tokenizer.encode(text.read_text("utf-8").removesuffix("\n")).ids
    return [tokens[i : i + length] for i in range(0, len(tokens) - length + 1, length)]


def predictions(made: Made, parts: list[list[int]], length: int = CONTEXT) -> np.ndarray:
    """Logits of the second halves, without the last position."""
    half = length // 2
    return np.concatenate([reference.logits(made.settings, made.tensors, part)[half:-1] for part in parts])


def references(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.reference"))


def test_a_model_beside_another_is_as_a_plain_forward_pass_says(
    measure: Measure, original: Made, altered: Made, text: Path
) -> None:
    parts = chunks(original, text)
    ours, base = predictions(altered, parts), predictions(original, parts)
    targets = np.concatenate([part[CONTEXT // 2 + 1 :] for part in parts])
    true = divergences(base, ours)
    nll = -log_softmax(ours)[np.arange(len(targets)), targets]
    found = measure(altered.file, original.file)
    assert found.kld is not None
    assert found.num_tokens == len(targets)
    assert found.perplexity == pytest.approx(np.exp(nll.mean()), rel=0.005)
    assert found.kld.mean == pytest.approx(true.mean(), rel=0.01)
    assert found.kld.p99 == pytest.approx(np.percentile(true, 99), rel=0.02)
    assert found.kld.maximum == pytest.approx(true.max(), rel=0.02)
    assert found.kld.same_top == pytest.approx((ours.argmax(axis=1) == base.argmax(axis=1)).mean(), abs=0.01)
    assert found.kld.approximation == 0.0
    assert measure(altered.file).perplexity == pytest.approx(found.perplexity)
    assert measure(altered.file, num_chunks=1).num_tokens == CONTEXT - 1 - CONTEXT // 2


def test_side_by_side_says_the_same_and_writes_nothing(
    measure: Measure, original: Made, q4: Path, tmp_path: Path
) -> None:
    exact = measure(q4, original.file, exact=True)
    assert references(tmp_path) == []
    by_file = measure(q4, original.file)
    assert exact.kld is not None
    assert by_file.kld is not None
    assert exact.kld.mean == pytest.approx(by_file.kld.mean, rel=1e-4)
    assert exact.kld.maximum == pytest.approx(by_file.kld.maximum, rel=1e-3)
    assert exact.perplexity == pytest.approx(by_file.perplexity)


def test_a_vocabulary_kept_in_part_gives_the_same_divergence(measure: Measure, wide: tuple[Path, Path]) -> None:
    full, q8 = wide
    exact, by_file = measure(q8, full, exact=True).kld, measure(q8, full).kld
    assert exact is not None
    assert by_file is not None
    assert by_file.approximation > 0
    assert abs(by_file.mean - exact.mean) <= 2 * by_file.approximation
    assert by_file.mean == pytest.approx(exact.mean, rel=0.02)
    assert by_file.same_top == exact.same_top


def test_the_reference_is_read_once_for_several_candidates(
    measure: Measure, original: Made, altered: Made, q4: Path, tmp_path: Path
) -> None:
    said: list[Progress] = []
    first = measure(q4, original.file, on_progress=said.append)
    assert "tokens predicted" in said[-1].text
    assert first.reference_seconds is not None
    (file,) = references(tmp_path)
    again = measure(altered.file, original.file)
    assert again.reference_seconds is None
    renamed = tmp_path / "other name.gguf"
    os.link(original.file, renamed)
    assert measure(q4, renamed).reference_seconds is None  # known by its content
    assert references(tmp_path) == [file]
    assert measure(q4, original.file, context=48).reference_seconds is not None
    assert len(references(tmp_path)) == 2


def test_a_damaged_or_foreign_reference_is_read_anew(
    measure: Measure, original: Made, q4: Path, tmp_path: Path
) -> None:
    before = measure(q4, original.file)
    (file,) = references(tmp_path)
    good = file.read_bytes()
    middle = len(good) // 2
    for bad in (good[:middle] + bytes([good[middle] ^ 64]) + good[middle + 1 :], b"_logits_" + bytes(100)):
        file.write_bytes(bad)
        after = measure(q4, original.file)
        assert after.reference_seconds is not None
        assert after.kld == before.kld
        assert file.read_bytes() == good


def test_a_quantized_cache_is_measured_against_the_plain_one(measure: Measure, original: Made) -> None:
    plain = measure(original.file, original.file).kld
    cheap = measure(original.file, original.file, kv_type_k=KVType.Q4_0, kv_type_v=KVType.Q4_0).kld
    assert plain is not None
    assert cheap is not None
    assert plain.mean < 1e-6
    assert plain.same_top == 1.0
    assert cheap.mean > 10 * max(plain.mean, 1e-6)


def test_long_chunks_are_read_in_batches(measure: Measure, original: Made, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("A sentence that is said again and again.\n" * 60, "utf-8")
    found = measure(original.file, text=long, context=600)
    parts = chunks(original, long, 600)
    nll = -log_softmax(predictions(original, parts, 600))
    targets = np.concatenate([part[301:] for part in parts])
    assert found.num_tokens == len(targets)
    assert found.perplexity == pytest.approx(np.exp(nll[np.arange(len(targets)), targets].mean()), rel=0.005)


def test_models_with_other_vocabularies_are_not_compared(
    measure: Measure, original: Made, stranger: Path, wide: tuple[Path, Path]
) -> None:
    with pytest.raises(EvaluationError, match="not made from the same model"):
        measure(original.file, stranger)
    with pytest.raises(EvaluationError, match="not made from the same model"):
        measure(original.file, wide[0], exact=True)


def test_what_cannot_be_measured_is_told_in_a_sentence(measure: Measure, original: Made, tmp_path: Path) -> None:
    short = tmp_path / "short.txt"
    short.write_text("Too short.", "utf-8")
    with pytest.raises(EvaluationError, match="The text is too short: it has"):
        measure(original.file, text=short)
    with pytest.raises(EvaluationError, match="must lie between 16 and 1024 tokens, not at 2048"):
        measure(original.file, context=2048)
    with pytest.raises(ModelFileError, match="There is no file"):
        measure(tmp_path / "missing.gguf")
    assert references(tmp_path) == []


def test_texts_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(SHIPPED.read_bytes()) >= 25_000
    assert read_text() == SHIPPED.read_text("utf-8").removesuffix("\n")
    bad = tmp_path / "bad.txt"
    for data, words in ((b"\xff\xfe\x00", "not UTF-8"), (b" \n", "is empty")):
        bad.write_bytes(data)
        with pytest.raises(EvaluationError, match=words):
            read_text(bad)
    monkeypatch.setattr("app.lab.text.MAX_BYTES", 1)
    with pytest.raises(EvaluationError, match="larger than"):
        read_text(SHIPPED)
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_text(tmp_path / "missing.txt")


def test_a_cancelled_evaluation_leaves_no_file(measure: Measure, original: Made, q4: Path, tmp_path: Path) -> None:
    cancelled = threading.Event()
    seen: list[list[Path]] = []

    def on_progress(_progress: Progress) -> None:
        seen.append(references(tmp_path))
        cancelled.set()

    long = tmp_path / "long.txt"
    long.write_text(SENTENCE * 200, "utf-8")
    with pytest.raises(Cancelled):
        measure(q4, original.file, text=long, on_progress=on_progress, cancelled=cancelled)
    assert seen[0] != []  # it had begun to write
    assert [path.name for path in (tmp_path / "cache" / "evaluations").iterdir()] == [MARK]


def test_old_references_make_room_for_new_ones(tmp_path: Path) -> None:
    for age, name in enumerate(("newest", "middle", "oldest")):
        path = tmp_path / f"{name}.reference"
        path.write_bytes(MAGIC + bytes(92))
        os.utime(path, (1000 - age, 1000 - age))
    foreign = tmp_path / "foreign.reference"
    foreign.write_bytes(bytes(1000))
    os.utime(foreign, (1, 1))
    with module._references(tmp_path / "none yet") as folder:
        assert folder.directory.names() == [MARK]
    with OwnedFolder(open_directory(tmp_path)) as folder:
        module._trim(folder, 250)
    assert foreign.exists()
    foreign.unlink()
    assert [path.stem for path in references(tmp_path)] == ["middle", "newest"]


def test_a_reference_that_cannot_be_removed_does_not_cost_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "held.reference").write_bytes(MAGIC + bytes(92))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "in use by another process")

    with OwnedFolder(open_directory(tmp_path)) as folder:
        monkeypatch.setattr(type(folder.directory), "unlink", refuse)
        module._trim(folder, 10)
    assert len(references(tmp_path)) == 1


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file where a folder should be")
    with pytest.raises(EvaluationError, match=r"cannot be written: .*\. Free some space"):
        module._workshop(tmp_path / "cache" / "evaluations")
