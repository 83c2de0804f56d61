"""Where weights and cache go, and what is told of it, on a device that llama.cpp takes for a GPU."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import EngineError
from app.inference.supervisor import EngineHandle, EngineState, Supervisor
from backends.protocol import GREEDY, EngineOptions, FlashAttention, Generate, KVType, Output
from tests.gpu.children import Seen
from tests.gpu.conftest import Load
from tests.inference.conftest import SECONDS, Answer
from tests.patience import until

pytestmark = pytest.mark.gpu

NUM_LAYERS, NUM_TOKENS = 4, 12
EXACT = {"kv_type_k": KVType.F32, "kv_type_v": KVType.F32, "flash_attention": FlashAttention.OFF}
PROMPT = "def f(x): return x ** 2  # 数字"
BUFFER = re.compile(r"(\S+) (model|KV) buffer size = +([\d.]+) MiB")


def said(handle: EngineHandle, **fields: object) -> str:
    answer = Answer()
    settings = {"max_tokens": NUM_TOKENS, "ignore_eos": True, "sampling": GREEDY, **fields}
    handle.submit(Generate(PROMPT, **settings), answer)  # type: ignore[arg-type]
    assert isinstance(answer.wait().last, Output), (answer.last, handle.snapshot.crash)
    return answer.text


def buffers(handle: EngineHandle) -> dict[tuple[str, str], float]:
    """MiB by device and kind, as llama.cpp has logged them."""
    found: dict[tuple[str, str], float] = {}
    for device, kind, size in BUFFER.findall(handle.log_path.read_text(errors="replace")):
        found[device, kind] = max(found.get((device, kind), 0.0), float(size))
    return found


def test_what_fits_goes_to_the_device_whole_and_it_says_so(load: Load, tiny: Path, device: Seen) -> None:
    handle = load(tiny)
    ready = handle.wait_ready(SECONDS)
    assert ready.device.startswith(device.name)
    assert ready.gpu_layers == NUM_LAYERS + 1
    assert ready.notes == ()
    assert (device.name, "model") in buffers(handle)
    assert (device.name, "KV") in buffers(handle)


@pytest.mark.parametrize("layers", [0, 2])
def test_a_part_of_the_layers_answers_as_the_processor_does(load: Load, tiny: Path, device: Seen, layers: int) -> None:
    whole = said(load(tiny, "whole", **EXACT))
    handle = load(tiny, "part", gpu_layers=layers, **EXACT)
    assert handle.wait_ready(SECONDS).gpu_layers == layers
    assert said(handle) == whole
    on_device = {kind for name, kind in buffers(handle) if name == device.name}
    assert on_device == ({"model", "KV"} if layers else set())


@pytest.mark.parametrize("kinds", [(KVType.Q8_0, KVType.Q8_0), (KVType.F16, KVType.Q4_0), (KVType.F16, KVType.F16)])
def test_each_kv_type_lies_on_the_device_in_its_size_and_answers(
    load: Load, tiny: Path, device: Seen, kinds: tuple[KVType, KVType]
) -> None:
    plain = load(tiny, "plain", **EXACT)
    handle = load(tiny, "typed", kv_type_k=kinds[0], kv_type_v=kinds[1])
    assert said(handle)
    assert buffers(handle)[device.name, "KV"] < buffers(plain)[device.name, "KV"]


def test_a_context_too_large_for_the_device_is_no_death(load: Load, supervisor: Supervisor, tiny: Path) -> None:
    """Told before anything is allocated."""
    options = EngineOptions(context=1 << 26, kv_type_k=KVType.F32, kv_type_v=KVType.F32, gpu_layers=999)
    handle = supervisor.load("large", tiny, options)
    with pytest.raises(EngineError, match="GiB for the KV cache"):
        handle.wait_ready(SECONDS)
    assert handle.snapshot.crash is None
    assert said(load(tiny, "small"))


def test_a_device_that_is_gone_is_a_processor_with_a_sentence(
    load: Load, tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VK_ICD_FILENAMES", str(tmp_path / "no driver.json"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    handle = load(tiny)
    ready = handle.wait_ready(SECONDS)
    assert (ready.device, ready.gpu_layers) == ("CPU", 0)
    assert any("no GPU" in note for note in ready.notes)
    assert said(handle)


def test_a_device_that_is_lost_ends_one_engine_which_comes_back(
    load: Load, tiny: Path, lost_device: Callable[[], None]
) -> None:
    handle = load(tiny)
    assert said(handle)
    lost_device()
    answer = Answer()
    handle.submit(Generate(PROMPT, max_tokens=NUM_TOKENS, ignore_eos=True, sampling=GREEDY), answer)
    answer.wait()
    assert not isinstance(answer.last, Output)
    until(lambda: handle.snapshot.crash)
    assert "the GPU was lost" in str(handle.snapshot.crash)
    assert handle.snapshot.state in (EngineState.LOADING, EngineState.READY)
