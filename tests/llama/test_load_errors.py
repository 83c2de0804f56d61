"""What llama.cpp's own log gives as the reason reaches the person: every refused load has it, and its true cure."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import EngineError
from app.inference.supervisor import Supervisor
from app.jobs.convert import make_imatrix
from backends.llama import native
from backends.llama.log import ERROR, NUM_KEPT, Errors, is_of_memory, reason
from backends.llama.native import NativeError, NativeModel
from backends.protocol import EngineOptions
from tests.inference.conftest import SECONDS

SHORT = """
import resource, sys
from pathlib import Path

import psutil

from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeError, NativeModel

def allow(more):
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + more, -1))

native.start()
with NativeModel(Path(sys.argv[1])) as model:
    allow(300_000_000)
    try:
        NativeContext(model, ContextParams(200_000, num_slots=1, batch_tokens=512, threads=1))
    except NativeError as error:
        print(error.is_of_memory, error)
allow(20_000_000)
try:
    NativeModel(Path(sys.argv[1]))
except NativeError as error:
    print(error.is_of_memory, error)
"""
EXPECTED = r"wrong number of tensors; expected 272, got 263"


@pytest.fixture
def with_a_layer_too_many(smollm2: Path, tmp_path: Path) -> Path:
    """SmolLM2, whose settings announce 29 of its 30 layers: sound by its header, refused by llama.cpp."""
    path = tmp_path / "SmolLM2.gguf"
    shutil.copyfile(smollm2, path)
    key = b"llama.block_count" + struct.pack("<I", 4)
    with path.open("r+b") as file:
        at = file.read(1 << 16).index(key) + len(key)
        file.seek(at)
        file.write(struct.pack("<I", 29))
    return path


def test_a_load_says_what_llama_cpp_says(supervisor: Supervisor, with_a_layer_too_many: Path) -> None:
    handle = supervisor.load("m", with_a_layer_too_many, EngineOptions(context=256))
    with pytest.raises(EngineError, match=EXPECTED) as told:
        handle.wait_ready(SECONDS)
    assert "smaller context" not in str(told.value)
    assert "done_getting_tensors" not in str(told.value)


def test_a_draft_says_what_llama_cpp_says(supervisor: Supervisor, smollm2: Path, with_a_layer_too_many: Path) -> None:
    handle = supervisor.load("m", smollm2, EngineOptions(context=256, draft_model=with_a_layer_too_many))
    notes = handle.wait_ready(SECONDS).notes
    assert any("could not be loaded" in note and "expected 272, got 263" in note for note in notes), notes


def test_an_importance_matrix_says_it_too(with_a_layer_too_many: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=EXPECTED):
        make_imatrix(with_a_layer_too_many, tmp_path / "m.imatrix", None, logs=tmp_path)


def test_a_file_that_is_none_is_told_by_its_magic(tmp_path: Path) -> None:
    path = tmp_path / "page.gguf"
    path.write_text("<!DOCTYPE html>")
    native.start()
    with pytest.raises(NativeError, match="invalid magic") as told:
        NativeModel(path)
    assert not told.value.is_of_memory


def test_memory_is_told_from_a_bad_file() -> None:
    lines = [
        "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 103079215104",
        "llama_model_load: error loading model: unable to allocate CPU buffer",
        "llama_model_load_from_file_impl: failed to load model",
    ]
    assert is_of_memory(lines)
    assert reason(lines) == "unable to allocate CPU buffer"
    assert is_of_memory(["ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory"])
    assert not is_of_memory(["llama_model_load: error loading model: missing tensor 'output_norm.weight'"])


def test_only_the_errors_since_the_call_count_and_few_are_kept() -> None:
    errors = Errors()
    errors.hear(ERROR, "an old one\n")
    mark = errors.mark()
    assert reason(errors.since(mark)) is None
    errors.hear(2, "load: some figures\n")
    errors.hear(5, "that go on\n")
    errors.hear(ERROR, "load: half \x1b[2J")
    errors.hear(5, "and half\n")
    assert errors.since(mark) == ["load: half \x1b[2J", "and half"]
    assert (reason(["x_y: half \x1b[2J"]) or "").isprintable()
    for _ in range(10 * NUM_KEPT):
        errors.hear(ERROR, "x" * 100_000)
    assert len(errors.since(mark)) == NUM_KEPT
    assert all(len(line) < 10_000 for line in errors.since(mark))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to its address space")
def test_real_shortages_are_told_as_memory(smollm2: Path) -> None:
    """Of a cache and of a model's own pages, in a process that may have no more."""
    done = subprocess.run([sys.executable, "-c", SHORT, str(smollm2)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "True llama.cpp says “failed to initialize the context: failed to allocate buffer for kv cache”",
        "True llama.cpp says “mmap failed: Cannot allocate memory”",
    ]
