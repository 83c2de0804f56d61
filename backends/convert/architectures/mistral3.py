"""Mistral Small 3.1 and later, whose text part is a Mistral, and Ministral 3, which sharpens attention far from 0."""

from dataclasses import replace

from backends.convert.architectures.common import LLAMA_ROPES
from backends.convert.architectures.llama import ARCHITECTURES as LLAMA
from backends.convert.architectures.table import Key
from backends.convert.config import Config
from backends.convert.rope import RopeKind

_MINISTRAL = "ministral3"


def _is_ministral(config: Config) -> bool:
    return config.raw.get("model_type") == _MINISTRAL


def _fault(config: Config) -> str | None:
    is_yarn = config.rope.kind is RopeKind.YARN
    if is_yarn and any(config.rope.table.get(key) != 1 for key in ("mscale", "mscale_all_dim")):
        return "A rotary scaling 'yarn' with an mscale other than 1"
    if _is_ministral(config) and not is_yarn:
        return "A Ministral 3 without the rotary scaling 'yarn'"
    return None


_MISTRAL3 = replace(
    LLAMA["MistralForCausalLM"],
    gguf="mistral3",
    keys=(
        *LLAMA["MistralForCausalLM"].keys,
        Key(
            "rope.scaling.yarn_log_multiplier", lambda c: c.rope.number("mscale_all_dim") if _is_ministral(c) else None
        ),
        Key(
            "attention.temperature_scale", lambda c: c.rope.number("llama_4_scaling_beta") if _is_ministral(c) else None
        ),
    ),
    ropes=LLAMA_ROPES,
    fixed={"model_type": ("mistral", _MINISTRAL)},
    defaults={"sliding_window": None},
    has_mscale=True,
    check=_fault,
)
ARCHITECTURES = {
    "Ministral3ForCausalLM": _MISTRAL3,
    "Mistral3ForConditionalGeneration": replace(
        _MISTRAL3,
        ignored=("vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."),
        renamed={"language_model.model.": "model.", "model.language_model.": "model.", "language_model.": ""},
    ),
}
