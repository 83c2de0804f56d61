"""`slipstream quantize` with its options, as a person types them."""

import json
from pathlib import Path

import pytest

from backends.formats.gguf import read_header
from tests.cli.test_commands import slipstream
from tests.cli.test_installing import report
from tests.convert import sources
from tests.library import foreign


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sources.write_llama(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sources.write_odd(tmp_path_factory.mktemp("odd"))


def test_a_dry_run_says_what_would_come_of_it_and_writes_nothing(source: Path) -> None:
    before = sorted(source.parent.iterdir())
    plan = report("quantize", str(source), "--type", "iq2_xs", "--dry-run")
    assert plan["needs_imatrix"]
    assert {share["type"] for share in plan["tensors"]} >= {"IQ2_XS", "F32"}
    told = slipstream("quantize", str(source), "--type", "iq2_xs", "--dry-run")
    assert "It needs an importance matrix: --imatrix FILE, or --imatrix auto to make one first." in told.stdout
    assert sorted(source.parent.iterdir()) == before


def test_a_matrix_is_made_on_the_way_and_rules_are_kept(source: Path, tmp_path: Path) -> None:
    text, target = tmp_path / "mine.txt", tmp_path / "out" / "small.gguf"
    text.write_text("The quick brown fox doesn't jump over 12345 lazy dogs; it has slept.\n" * 60)
    rules = ("--tensor-type", "attn_k=q8_0", "--output-type", "q5_0")
    matrix = ("--imatrix", "auto", "--calibration", str(text))
    made = report("quantize", str(source), str(target), "--type", "q2_k_s", *matrix, *rules)
    header = read_header(target)
    types = {tensor.name: tensor.type for tensor in header.tensors}
    assert (made["bytes"], made["warnings"]) == (target.stat().st_size, [])
    assert header.metadata["quantize.imatrix.dataset"] == "mine.txt"
    assert (types["blk.0.attn_k.weight"], types["output.weight"]) == ("Q8_0", "Q5_0")
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--tensor-type", "attn_k"], 2, "write it as PATTERN=TYPE"),
        (["--calibration", "text.txt"], 2, "--imatrix auto"),
        (["--type", "Q9"], 2, "'Q9' is not a type to quantize to"),
        (["--imatrix", "nothing.gguf"], 1, "There is no file"),
    ],
)
def test_what_cannot_be_meant_is_one_line(source: Path, options: list[str], code: int, words: str) -> None:
    result = slipstream("quantize", str(source), str(source.with_name("x.gguf")), *options)
    assert (result.returncode, result.stdout) == (code, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not source.with_name("x.gguf").exists()


def test_the_source_is_never_the_target_however_it_is_written(source: Path) -> None:
    before = source.read_bytes()
    for name in (str(source), str(source.parent / "." / ".." / source.parent.name / source.name)):
        result = slipstream("quantize", str(source), name, "--type", "Q8_0")
        assert (result.returncode, "is the source itself" in result.stderr) == (2, True)
    assert source.read_bytes() == before


def test_what_is_there_already_is_replaced_only_when_asked_to(source: Path, tmp_path: Path) -> None:
    mine = tmp_path / "model-F16.gguf"
    mine.write_bytes(source.read_bytes())
    beside = tmp_path / "model-Q8_0.gguf"
    beside.write_text("a person's")
    for target in ((), (str(beside),)):
        refused = slipstream("quantize", str(mine), *target, "--type", "Q8_0")
        assert refused.returncode == 2
        assert f"{beside} is there already. Name another file, or add --force." in refused.stderr
    assert beside.read_text() == "a person's"
    made = report("quantize", str(mine), "--type", "Q8_0", "--force")
    assert (made["file"], made["bytes"]) == (str(beside), beside.stat().st_size)
    assert read_header(beside)


@pytest.mark.parametrize("kind", ["folder", "link", "lost link"])
def test_only_a_regular_file_is_replaced(source: Path, tmp_path: Path, kind: str) -> None:
    target, behind = tmp_path / "small.gguf", tmp_path / "behind"
    if kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(behind)
        if kind == "link":
            behind.write_text("a person's")
    before = sorted(tmp_path.iterdir())
    refused = slipstream("quantize", str(source), str(target), "--type", "Q8_0", "--force")
    assert (refused.returncode, "no regular file" in refused.stderr) == (2, True)
    assert sorted(tmp_path.iterdir()) == before
    assert target.is_dir() or target.is_symlink()
    assert kind != "link" or behind.read_text() == "a person's"


def test_the_type_is_told_before_the_place(tmp_path: Path) -> None:
    root = tmp_path / "ollama"
    foreign.ollama(root, "whole:latest", b"GGUF")
    refused = slipstream("quantize", "whole:latest", "--type", "QX", OLLAMA_MODELS=str(root))
    assert (refused.returncode, "'QX' is not a type to quantize to" in refused.stderr) == (2, True)


def test_a_model_of_another_application_is_read_and_nothing_is_written_beside_it(source: Path, tmp_path: Path) -> None:
    root, target = tmp_path / "ollama", tmp_path / "small.gguf"
    foreign.ollama(root, "whole:latest", source.read_bytes())
    before = foreign.everything_below(root)
    name = json.loads(slipstream("models", "--json", OLLAMA_MODELS=str(root)).stdout)["models"][0]["id"]
    refused = slipstream("quantize", name, "--type", "Q8_0", OLLAMA_MODELS=str(root))
    assert (refused.returncode, "which is only read. Name the file" in refused.stderr) == (2, True)
    made = slipstream("quantize", name, str(target), "--type", "Q8_0", OLLAMA_MODELS=str(root))
    assert made.returncode == 0, made.stderr
    assert read_header(target)
    assert foreign.everything_below(root) == before


@pytest.mark.parametrize("place", [(), ("out.gguf",)])
def test_what_is_no_model_is_told_before_the_place(tmp_path: Path, place: tuple[str, ...]) -> None:
    pointer = tmp_path / "tiny-Q8_0.gguf"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 98000000\n")
    refused = slipstream("quantize", str(pointer), *place, "--type", "Q8_0")
    assert (refused.returncode, "is a Git LFS pointer" in refused.stderr) == (1, True), refused.stderr


def test_a_fall_back_is_told_once_a_kind_and_by_the_real_run_too(odd: Path, tmp_path: Path) -> None:
    told = slipstream("quantize", str(odd), "--type", "Q4_K_M", "--embedding-type", "Q6_K", "--dry-run")
    lines = told.stdout.splitlines()
    assert any("tensors of blk.* become" in line for line in lines)
    assert lines[-1].startswith("In all ")
    plan = report("quantize", str(odd), "--type", "Q4_K_M", "--embedding-type", "Q6_K", "--dry-run")
    assert len(plan["fallbacks"]) > len(lines)
    made = slipstream("quantize", str(odd), str(tmp_path / "x.gguf"), "--type", "Q4_K_M", "--embedding-type", "Q6_K")
    assert made.returncode == 0, made.stderr
    assert [line for line in made.stdout.splitlines() if " become" in line] == [
        line for line in lines if "become" in line
    ]
