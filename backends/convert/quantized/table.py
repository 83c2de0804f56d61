"""Which methods of quantization can be undone, and what to say of the others. Knows config.json's names for them."""

from collections.abc import Callable, Mapping
from typing import Any

from backends.child import Refusal
from backends.convert.layout import Source
from backends.convert.quantized.awq import read_awq
from backends.convert.quantized.compressed import read_compressed
from backends.convert.quantized.fp8 import read_fp8
from backends.convert.quantized.gptq import read_gptq
from backends.convert.quantized.mxfp4 import read_mxfp4
from backends.convert.quantized.tensor import Parts
from backends.convert.safetensors import Entry
from backends.convert.sentences import shown

METHODS: dict[str, Callable[[dict[str, Any], Parts], Mapping[str, Source]]] = {
    "awq": read_awq,
    "compressed-tensors": read_compressed,
    "fbgemm_fp8": read_fp8,
    "fp8": read_fp8,
    "gptq": read_gptq,
    "mxfp4": read_mxfp4,
}
OTHERS = {
    "aqlm": "AQLM",
    "auto-round": "AutoRound",
    "bitnet": "BitNet",
    "eetq": "EETQ",
    "fp_quant": "FP-Quant",
    "higgs": "HIGGS",
    "hqq": "HQQ",
    "modelopt": "NVIDIA's ModelOpt",
    "quanto": "Quanto",
    "quark": "AMD's Quark",
    "quip": "QuIP#",
    "smoothquant": "SmoothQuant",
    "spqr": "SpQR",
    "torchao": "torchao",
    "vptq": "VPTQ",
}
WHAT_TO_DO = "Look for the original repository of the model, or for one that holds GGUF files."


def dequantized(settings: Any, entries: dict[str, Entry]) -> dict[str, Source]:
    """The entries with each quantized weight as a float one. Raises Refusal that names the method."""
    if not settings:
        return dict(entries)
    if not isinstance(settings, dict):
        raise Refusal("config.json is damaged: quantization_config is not a table.")
    method = _method(settings)
    read = METHODS.get(method)
    if read is None:
        raise Refusal(
            f"This checkpoint is quantized with {_label(method, settings)}, which cannot be undone. {WHAT_TO_DO}"
        )
    parts = Parts(entries)
    sources: Mapping[str, Source] = read(settings, parts)
    rest = parts.rest()
    if twice := sources.keys() & rest.keys():
        raise Refusal(f"The checkpoint holds tensor {min(twice)!r:.80} quantized and as it was.")
    return {**rest, **sources}


def _method(settings: dict[str, Any]) -> str:
    method = settings.get("quant_method")
    if method is None and (settings.get("load_in_4bit") or settings.get("load_in_8bit")):
        return "bitsandbytes"  # of before the key
    return shown(method)


def _label(method: str, settings: dict[str, Any]) -> str:
    if method == "bitsandbytes":
        if settings.get("load_in_8bit"):
            return "LLM.int8 (bitsandbytes)"
        return f"{shown(settings.get('bnb_4bit_quant_type', 'fp4')).upper():.10} (bitsandbytes)"
    return OTHERS.get(method, f"a method called {method!r:.40}")
