"""Quantized files are what was planned, whatever the type; what cannot be right is refused with a sentence."""

import shutil
import threading
from collections import Counter
from pathlib import Path

import gguf
import pytest

from app.errors import Cancelled, ConversionError
from app.jobs.child import run_in_child
from app.jobs.convert import plan_quantization, quantize_file
from backends.formats import FormatError
from backends.formats.gguf import describe, read_header, read_model
from backends.formats.gguf_tables import FILE_TYPES
from backends.formats.quantizations import QUANTIZATIONS
from backends.formats.recipe import Recipe, parse_override
from tests.convert import sources

SLOW = ("IQ3_S", "IQ3_M", "IQ4_XS", "IQ4_NL")  # their tables take seconds to make; the bench tries them
TYPES = [name for name, row in QUANTIZATIONS.items() if not row.needs_imatrix and name not in SLOW]
PREDICTION_BYTES = 64


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sources.write_llama(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def small(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    quantize_file(source, folder / "small.gguf", "Q8_0", logs=folder)
    return folder / "small.gguf"


def types_of(path: Path) -> dict[str, str]:
    return {tensor.name: tensor.type for tensor in read_header(path).tensors}


def test_every_type_of_the_table_is_llama_cpps() -> None:
    known = {name: number for number, name in FILE_TYPES.items()}
    assert all(row.number == known.get(name, 0) for name, row in QUANTIZATIONS.items())
    assert set(known) - set(QUANTIZATIONS) == {"NVFP4"}  # which llama-quantize does not write either
    assert all(row.description.endswith(".") for row in QUANTIZATIONS.values())


def test_every_type_gives_the_planned_file(source: Path, tmp_path: Path) -> None:
    found = run_in_child(
        "tests.convert.quantizing:all_types", log_path=tmp_path / "log", source=source, folder=tmp_path, types=TYPES
    )
    for type_, (plan, result) in found.items():
        header = read_model(tmp_path / f"{type_}.gguf")
        assert abs(plan.bytes - result.bytes) <= PREDICTION_BYTES, type_
        assert {share.type: share.num_tensors for share in plan.tensors} == Counter(t.type for t in header.tensors)
        assert sum(share.bytes for share in plan.tensors) == sum(t.num_bytes for t in header.tensors), type_
        assert plan.bits_per_weight == result.bits_per_weight
        assert not plan.needs_imatrix
        label = "F16" if type_ == "COPY" else type_
        assert FILE_TYPES[header.metadata["general.file_type"]] == label
        assert (plan.fallbacks, result.warnings) == ((), ())
    assert not list(tmp_path.glob("*.part"))


def test_the_same_source_gives_the_same_bytes_however_many_threads(source: Path, tmp_path: Path) -> None:
    found = run_in_child(
        "tests.convert.quantizing:digests",
        log_path=tmp_path / "log",
        source=source,
        target=tmp_path / "x.gguf",
        recipe=Recipe("Q4_K_M"),
        threads=[1, 2, 3],
    )
    assert len(found) == 1


def test_rules_decide_by_the_first_pattern_that_is_found(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.gguf"
    rules = (parse_override(r"blk\.0\.attn_v=f16"), parse_override("attn_v=q8_0"))

    plan = plan_quantization(source, "Q4_0", overrides=rules, output_type="Q5_1", embedding_type="Q5_0", logs=tmp_path)
    result = quantize_file(
        source, target, "Q4_0", overrides=rules, output_type="Q5_1", embedding_type="Q5_0", logs=tmp_path
    )

    types = types_of(target)
    assert (types["blk.0.attn_v.weight"], types["blk.1.attn_v.weight"]) == ("F16", "Q8_0")
    assert (types["output.weight"], types["token_embd.weight"]) == ("Q5_1", "Q5_0")
    assert types["blk.0.attn_q.weight"] == "Q4_0"
    assert abs(plan.bytes - result.bytes) <= PREDICTION_BYTES


def test_pure_gives_all_tensors_the_same_type(source: Path, tmp_path: Path) -> None:
    quantize_file(source, tmp_path / "x.gguf", "Q4_K_M", is_pure=True, logs=tmp_path)
    assert set(types_of(tmp_path / "x.gguf").values()) == {"Q4_K", "F32"}


def test_rows_that_do_not_divide_fall_back_and_are_named(tmp_path: Path) -> None:
    odd = sources.write_odd(tmp_path)
    plan = plan_quantization(odd, "Q4_K_M", logs=tmp_path)
    assert {share.type for share in plan.tensors} == {"Q5_0", "Q8_0", "F32"}
    assert len(plan.fallbacks) == 15  # all but output.weight, which the mix itself makes Q8_0 then
    assert "blk.0.attn_q.weight becomes Q5_0: its rows of 288 do not divide by the 256 of Q4_K." in plan.fallbacks


def test_a_type_that_needs_a_matrix_can_be_planned_but_not_made_without(source: Path, tmp_path: Path) -> None:
    assert plan_quantization(source, "IQ2_XXS", logs=tmp_path).needs_imatrix
    with pytest.raises(ConversionError, match=r"^IQ2_XXS needs an importance matrix: .*Make one for"):
        quantize_file(source, tmp_path / "x.gguf", "IQ2_XXS", logs=tmp_path)
    with pytest.raises(ConversionError, match=r"^Q8_0 with these rules needs an importance matrix for 'blk\.0\.ff"):
        quantize_file(source, tmp_path / "x.gguf", "Q8_0", overrides=(("ffn_up", "IQ1_S"),), logs=tmp_path)
    assert not list(tmp_path.glob("x.gguf*"))


def test_quantizing_again_must_be_allowed_and_is_warned_about(small: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.gguf"
    with pytest.raises(ConversionError, match=r"small\.gguf is already quantized .* is Q8_0\)\. Start from its F16"):
        quantize_file(small, target, "Q4_0", logs=tmp_path)
    assert not list(tmp_path.glob("x.gguf*"))

    result = quantize_file(small, target, "Q4_0", allow_requantize=True, logs=tmp_path)

    (warning,) = result.warnings
    assert warning.startswith("small.gguf was quantized before: 16 of its 21 tensors are quantized a second time")
    assert plan_quantization(small, "Q4_0", logs=tmp_path).warnings == result.warnings
    assert describe(read_model(target)).quantization == "Q4_0"
    copy = quantize_file(small, target, "COPY", logs=tmp_path)  # changes no tensor, so it loses nothing
    assert (copy.warnings, copy.bytes) == ((), small.stat().st_size)


def test_a_split_model_is_quantized_from_its_first_part(source: Path, tmp_path: Path) -> None:
    parts = split(source, tmp_path / "split.gguf")
    whole, joined = tmp_path / "whole.gguf", tmp_path / "joined.gguf"
    quantize_file(source, whole, "Q5_0", logs=tmp_path)

    plan = plan_quantization(parts[0], "Q5_0", logs=tmp_path)
    result = quantize_file(parts[0], joined, "Q5_0", logs=tmp_path)

    assert abs(plan.bytes - result.bytes) <= PREDICTION_BYTES
    assert "split.count" not in read_header(joined).metadata
    tensors = {tensor.name: tensor.data.tobytes() for tensor in gguf.GGUFReader(joined).tensors}
    assert tensors == {tensor.name: tensor.data.tobytes() for tensor in gguf.GGUFReader(whole).tensors}
    with pytest.raises(ConversionError, match=r"is a part of a split model\. Start from its first part, …-00001-of-"):
        quantize_file(parts[1], tmp_path / "x.gguf", logs=tmp_path)
    parts[1].unlink()
    with pytest.raises(ConversionError, match=r"00002-of-\d+\.gguf is missing: it is a part of this model"):
        quantize_file(parts[0], tmp_path / "x.gguf", logs=tmp_path)


def test_parts_that_do_not_belong_together_are_told_as_in_the_library(source: Path, tmp_path: Path) -> None:
    first, second, *_ = parts = split(source, tmp_path / "split.gguf")
    target, kept = tmp_path / "x.gguf", second.read_bytes()

    def told() -> str:
        with pytest.raises(ConversionError) as info:
            quantize_file(first, target, logs=tmp_path)
        assert not target.exists()
        return str(info.value)

    shutil.copyfile(parts[2], second)
    assert told().startswith(f"{second.name} is not part 2 of {len(parts)}.")
    shutil.copyfile(first, second)
    assert told().startswith(f"{second.name} is not part 2 of {len(parts)}.")
    second.unlink()
    assert told().startswith(f"{second.name} is missing: it is a part of this model.")
    other = first.with_name(second.name.upper())
    other.write_bytes(kept)
    assert told().startswith(f"{other.name} lies here and is not named as part 2 of")


def split(source: Path, target: Path) -> list[Path]:
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama", split_max_tensors=8)
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            kind = field.types[1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], kind)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data.copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(target.parent.glob("split-*.gguf"))


def test_cancelled_in_the_middle_nothing_is_left(source: Path, tmp_path: Path) -> None:
    called_off = threading.Event()
    with pytest.raises(Cancelled):
        quantize_file(
            source, tmp_path / "x.gguf", logs=tmp_path, on_progress=lambda _: called_off.set(), cancelled=called_off
        )
    assert not list(tmp_path.glob("x.gguf*"))


def test_a_full_disk_is_noticed_before_the_work(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"too full: 1\.6 MB are needed, 0\.0 MB are free"):
        run_in_child(
            "tests.convert.quantizing:on_a_full_disk",
            log_path=tmp_path / "log",
            error=ConversionError,
            source=source,
            target=tmp_path / "x.gguf",
        )
    assert not list(tmp_path.glob("x.gguf*"))


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("attn_v", "is not a rule"),
        ("=Q8_0", "1 to 200 characters, not 0"),
        ("x" * 201 + "=Q8_0", "1 to 200 characters, not 201"),
        ("attn_(v=Q8_0", "is not a regular expression"),
        ("(a+)+$=Q8_0", "repeats a repetition"),
        ("attn v=Q8_0", "characters that a pattern for tensor names cannot have"),
        ("(?i)attn=Q8_0", "characters that a pattern for tensor names cannot have"),
        ("attn_v=Q9", "'Q9' is not a type that a tensor can have"),
        ("attn_v=Q8_K", "'Q8_K' is not a type that a tensor can have"),
        ("attn_v=I32", "'I32' is not a type that a tensor can have"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(rule: str, sentence: str) -> None:
    with pytest.raises(FormatError, match=sentence.replace("(", r"\(")):
        parse_override(rule)


def test_a_rule_that_no_tensor_matches_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"^No tensor of llama-f16\.gguf matches 'attn_w'"):
        quantize_file(source, tmp_path / "x.gguf", overrides=(("attn_w", "Q8_0"),), logs=tmp_path)
