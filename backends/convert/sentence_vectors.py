"""How a checkpoint makes one vector of those of a text's tokens, as sentence-transformers writes it down."""

from pathlib import Path, PurePosixPath
from typing import Any

from backends.child import Refusal
from backends.convert.files import MAX_JSON_BYTES, parse_json, read_checked, read_json
from backends.convert.sentences import shown
from backends.protocol import Pooling

MODULES = "modules.json"
KNOWN = ("Transformer", "Pooling", "Normalize")  # of each the last word of its type
MODES = {
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_lasttoken": Pooling.LAST,
}
NAMES = {"mean": Pooling.MEAN, "cls": Pooling.CLS, "lasttoken": Pooling.LAST}  # of newer files


def read_pooling(folder: Path) -> Pooling | None:
    """None: the checkpoint says nothing of it. Raises Refusal for steps that would change the vectors silently."""
    if not (folder / MODULES).exists():
        return None
    pooling = None
    for module in _modules(folder):
        match module:
            case {"type": str(type_), "path": str(path)} if (kind := type_.rpartition(".")[2]) in KNOWN:
                pooling = _mode(folder, path) if kind == "Pooling" else pooling
            case _:
                step = shown(module.get("type") if isinstance(module, dict) else module)
                raise Refusal(f"Its vectors go through a step that llama.cpp does not have (modules.json, {step}).")
    return pooling


def _modules(folder: Path) -> list[Any]:
    try:
        modules = parse_json(read_checked(folder / MODULES, MAX_JSON_BYTES))
    except (ValueError, RecursionError, OverflowError) as fault:
        raise Refusal(f"{MODULES} is damaged: it is not valid JSON. Download the checkpoint again.") from fault
    return modules if isinstance(modules, list) else [modules]


def _mode(folder: Path, path: str) -> Pooling:
    if (place := PurePosixPath(path)).is_absolute() or ".." in place.parts:
        raise Refusal(f"{MODULES} names a folder outside of the checkpoint. Do not trust it.")
    settings = read_json(folder / path / "config.json")
    modes = [mode for key, mode in MODES.items() if settings.get(key) is True]
    if not modes and settings.get("pooling_mode") in NAMES:
        modes = [NAMES[settings["pooling_mode"]]]
    others = [key for key, value in settings.items() if key.startswith("pooling_mode_") and value is True]
    if len(modes) != 1 or len(others) > 1:
        raise Refusal("Its tokens' vectors are pooled in a way that llama.cpp does not have (pooling_mode).")
    return modes[0]
