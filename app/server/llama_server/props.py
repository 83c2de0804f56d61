"""What llama-server tells of a loaded model: /props, /slots, /lora-adapters; and vLLM's /tokenizer_info."""

from typing import Any

from app.inference.engine_handle import EngineHandle
from app.server.llama_server.settings import generation_settings
from backends.protocol import Adapter, Generate, Ready

IDLE = {"has_next_token": False, "has_new_line": False, "n_remain": -1, "n_decoded": 0}


def props(handle: EngineHandle, ready: Ready) -> dict[str, Any]:
    """The file's name stands for its path, which is nobody's business."""
    named = dict(ready.vocabulary.named)
    slot = {"id": 0, "id_task": -1, "n_ctx": _context(ready), "speculative": ready.draft != "off"}
    defaults = {**slot, "is_processing": False, "params": generation_settings(Generate("")), "next_token": IDLE}
    return {
        "default_generation_settings": defaults,
        "total_slots": ready.parallel,
        "model_alias": handle.name,
        "model_path": handle.model.name,
        "modalities": {"vision": False, "audio": False},
        "endpoint_slots": True,
        "endpoint_props": False,
        "endpoint_metrics": True,
        "chat_template": ready.vocabulary.chat_template or "",
        "bos_token": named.get("bos_token", ""),
        "eos_token": named.get("eos_token", ""),
        "build_info": ready.build,
        "is_sleeping": False,
    }


def slots(handle: EngineHandle, ready: Ready) -> list[dict[str, Any]]:
    """Answers are in no slot of their own here: as many are told to be busy as there are answers."""
    stats = handle.snapshot.stats
    num_busy = stats.num_running if stats else 0
    is_speculative = ready.draft != "off"
    return [
        {
            "id": place,
            "n_ctx": _context(ready),
            "speculative": is_speculative,
            "is_processing": place < num_busy,
        }
        for place in range(ready.parallel)
    ]


def adapters(ready: Ready) -> list[dict[str, Any]]:
    return [_adapter(place, adapter) for place, adapter in enumerate(ready.adapters)]


def tokenizer_info(ready: Ready) -> dict[str, Any]:
    """As vLLM gives it for lm-eval: transformers' names."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "vocab_size": ready.vocabulary.num_tokens,
        "model_max_length": ready.context,
        "chat_template": ready.vocabulary.chat_template,
        **dict(ready.vocabulary.named),
    }


def _context(ready: Ready) -> int:
    """Of one answer."""
    return ready.context


def _adapter(place: int, adapter: Adapter) -> dict[str, Any]:
    return {"id": place, "path": adapter.path.name, "scale": adapter.scale}
