"""Every pair of types for keys and values: it works, or is refused with a sentence; and takes the bytes it should."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import EngineError
from app.inference.supervisor import Supervisor
from app.jobs.child import run_in_child
from backends.formats.gguf import Header, read_header
from backends.formats.kv_shape import UNQUANTIZED, KVShape
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.kv_types import refusal
from backends.llama.native import NativeModel
from backends.protocol import EngineOptions, FlashAttention, KVType
from tests.llama.conftest import make_model
from tests.llama.pairs import Pair

QUANTIZED = [kind for kind in KVType if kind not in UNQUANTIZED]
Decode = Callable[[Path, FlashAttention], dict[Pair, str | None]]


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Heads of 48 numbers: a block and a half."""
    return make_model(tmp_path_factory, "narrow", hidden_size=192, intermediate_size=256)


@pytest.fixture
def decode(tmp_path: Path) -> Decode:
    def decode(model: Path, flash: FlashAttention) -> dict[Pair, str | None]:
        log = tmp_path / "log"
        found = run_in_child("tests.llama.pairs:decode_all", log_path=log, path=model, flash_attention=flash)
        assert len(found) == 81
        return found  # type: ignore[no-any-return]

    return decode


@pytest.mark.parametrize("flash", [FlashAttention.AUTO, FlashAttention.ON])
def test_with_flash_attention_every_pair_decodes(tiny: Path, decode: Decode, flash: FlashAttention) -> None:
    assert {pair: why for pair, why in decode(tiny, flash).items() if why} == {}


def test_without_flash_attention_every_pair_with_plain_values_decodes(tiny: Path, decode: Decode) -> None:
    for (_, kind_v), why in decode(tiny, FlashAttention.OFF).items():
        assert (why is None) == (kind_v in UNQUANTIZED)
        assert why is None or why == (
            f"A quantized value cache ({kind_v}) needs flash attention. Switch it on, or choose f16."
        )


@pytest.mark.parametrize("flash", list(FlashAttention))
def test_heads_that_fill_no_whole_blocks_are_never_quantized(
    narrow: Path, decode: Decode, flash: FlashAttention
) -> None:
    for pair, why in decode(narrow, flash).items():
        assert (why is None) == (set(pair) <= set(UNQUANTIZED))
        if why:
            half, kind = ("key", pair[0]) if pair[0] in QUANTIZED else ("value", pair[1])
            assert why.startswith(f"The {half} cache of this model cannot be {kind}: its heads are 48 numbers long")
            assert why.endswith("Choose f16, bf16 or f32 for it.")


def test_a_refused_pair_ends_the_load_with_its_sentence(supervisor: Supervisor, narrow: Path) -> None:
    handle = supervisor.load("narrow", narrow, EngineOptions(kv_type_k=KVType.Q8_0))
    with pytest.raises(EngineError, match="48 numbers long"):
        handle.wait_ready(30)


def header(path: Path, architecture: str, **numbers: object) -> Header:
    given = {f"{architecture}.{key.replace('__', '.')}": number for key, number in numbers.items()}
    return Header(path, 3, {"general.architecture": architecture, **given}, (), 0, 0)


def why_not(architecture: str, kind_k: KVType, kind_v: KVType, is_cuda: bool = False, **numbers: object) -> str | None:
    shape = KVShape.of(
        header(
            Path("m"),
            architecture,
            **{"block_count": 2, "attention__head_count": 4, "embedding_length": 256, **numbers},
        )
    )
    flash = FlashAttention.AUTO
    return refusal(
        shape, architecture, EngineOptions(kv_type_k=kind_k, kv_type_v=kind_v, flash_attention=flash), is_cuda
    )


def test_what_single_architectures_and_devices_cannot_is_refused() -> None:
    f16, q8_0, iq4_nl = KVType.F16, KVType.Q8_0, KVType.IQ4_NL
    latent = {"attention__key_length_mla": 192, "attention__key_length": 576, "attention__value_length": 512}
    assert "Choose q8_0 for both" in (why_not("deepseek2", q8_0, f16, **latent) or "")
    assert why_not("deepseek2", q8_0, q8_0, **latent) is None
    assert "this model cannot use" in (why_not("grok", f16, q8_0) or "")
    assert why_not("grok", q8_0, f16) is None
    assert "Choose q4_0" in (why_not("llama", f16, iq4_nl, is_cuda=True) or "")
    assert why_not("llama", iq4_nl, f16, is_cuda=True) is None
    assert why_not("llama", f16, iq4_nl) is None
    assert why_not("mamba", q8_0, f16, attention__head_count=0, embedding_length=100) is None
    assert "40 numbers" in (why_not("gemma4", q8_0, f16, attention__key_length_swa=40) or "")


@pytest.mark.parametrize("is_unified", [True, False])
def test_the_cache_takes_the_bytes_of_the_formula(
    tiny: Path, is_unified: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = KVShape.of(read_header(tiny))
    native.start()
    with NativeModel(tiny) as model:
        for kind_k, kind_v in [*((kind, kind) for kind in KVType), (KVType.Q8_0, KVType.Q4_0)]:
            params = ContextParams(8192, 2, 64, 1, kind_k, kind_v, is_unified=is_unified)
            capsys.readouterr()
            with NativeContext(model, params) as context:
                (said,) = re.findall(r"KV buffer size = +([\d.]+) MiB", capsys.readouterr().err)
                expected = context.num_cells * shape.bytes_per_token(kind_k, kind_v)
            assert float(said) * (1 << 20) == pytest.approx(expected, rel=0.01), (kind_k, kind_v)


def test_layers_may_differ_in_their_heads() -> None:
    mixed = header(Path("m"), "lfm2", block_count=4, attention__head_count=8, attention__head_count_kv=[0, 2, 0, 4])
    shape = KVShape.of(mixed)
    assert shape.heads == (0, 2, 0, 4)
    gemma = {"attention__key_length": 64, "attention__value_length": 32, "attention__shared_kv_layers": 3}
    shape = KVShape.of(header(Path("m"), "gemma3n", block_count=5, attention__head_count=2, **gemma))
    assert shape.heads == (2, 2)
    assert shape.bytes_per_token(KVType.F16, KVType.Q8_0) == 2 * 2 * (64 * 2 + 34)
