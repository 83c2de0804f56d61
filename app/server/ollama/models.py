"""What is known of a model, in Ollama's words. What it has no word for is left out, what is not known is empty."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from app.server.core.directory import ModelFacts
from backends.bounds import as_text

UNKNOWN = datetime.fromtimestamp(0, UTC)  # clients count the time since
STAYS = timedelta(days=365)  # of one that nothing unloads by the clock
TEMPLATE = "tokenizer.chat_template"
WRITTEN_APART = {TEMPLATE, "general.license"}
QUOTES = '"""'  # around a text of several lines in a Modelfile
MAX_SAID = 4096  # characters of one thing that a file says of itself
THOUSANDS = ("", "K", "M", "B", "T")


def named(id_: str, facts: ModelFacts) -> dict[str, Any]:
    return {**_head(id_, facts), "modified_at": _modified(facts)}


def loaded(id_: str, facts: ModelFacts) -> dict[str, Any]:
    leaves = STAYS if facts.leaves is None else timedelta(seconds=facts.leaves)
    return {
        **_head(id_, facts),
        "size": facts.memory or facts.bytes or 0,
        "expires_at": _time(datetime.now(UTC) + leaves),
        "size_vram": facts.memory_gpu,
        "context_length": facts.context or 0,
    }


def shown(name: str, facts: ModelFacts, header: Mapping[str, Any]) -> dict[str, Any]:
    """header: what its file says of itself, by GGUF's names."""
    architecture = facts.architecture or ""
    known = {
        "general.architecture": architecture,
        "general.parameter_count": facts.parameters,
        f"{architecture}.context_length": facts.context_trained,
    }
    told = {key: value for key, value in header.items() if key not in WRITTEN_APART and _is_short(value)}
    template = header.get(TEMPLATE)
    parameters = {"num_ctx": facts.context} if facts.context else {}
    return {
        "license": as_text(str(header.get("general.license", "")), MAX_SAID),
        "modelfile": _modelfile(name, template if isinstance(template, str) else "", parameters),
        "parameters": "\n".join(f"{key:<30} {value}" for key, value in parameters.items()),
        "template": template if isinstance(template, str) else "",
        "details": _details(facts),
        "model_info": {key: value for key, value in (told | known).items() if value is not None},
        "capabilities": sorted(facts.capabilities) or ["embedding" if facts.is_embedder else "completion"],
        "modified_at": _modified(facts),
    }


def _modelfile(name: str, template: str, parameters: Mapping[str, Any]) -> str:
    """As `ollama show --modelfile` writes it, but for the file's path, which is nobody's business."""
    lines = [f"# {name}, as Slipstream has it. The template is Jinja, as it lies in the model's file.", f"FROM {name}"]
    if template and QUOTES not in template:
        lines.append(f"TEMPLATE {QUOTES}{template}{QUOTES}")
    lines += [f"PARAMETER {key} {value}" for key, value in parameters.items()]
    return "\n".join(lines) + "\n"


def _is_short(value: Any) -> bool:
    """And a number that JSON has."""
    return len(value) <= MAX_SAID if isinstance(value, str) else not isinstance(value, float) or isfinite(value)


def _modified(facts: ModelFacts) -> str:
    return _time(facts.modified or UNKNOWN)


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _head(id_: str, facts: ModelFacts) -> dict[str, Any]:
    digest = hashlib.sha256(id_.encode("utf-8", "replace")).hexdigest()  # clients tell models apart by it
    return {"name": id_, "model": id_, "size": facts.bytes or 0, "digest": digest, "details": _details(facts)}


def _details(facts: ModelFacts) -> dict[str, Any]:
    architecture = facts.architecture or ""
    return {
        "parent_model": "",
        "format": "gguf",
        "family": architecture,
        "families": [architecture] if architecture else [],
        "parameter_size": _short(facts.parameters) if facts.parameters else "",
        "quantization_level": facts.quantization or "",
    }


def _short(number: float) -> str:
    """1.5B, as Ollama writes it."""
    for unit in THOUSANDS:
        if number < 1000:
            return f"{number:.1f}{unit}" if unit else f"{number:.0f}"
        number /= 1000
    return f"{number:.0f}Q"
