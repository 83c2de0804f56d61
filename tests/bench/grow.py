"""A bigger target that says what the guide says: identity layers with small noise between its own (Net2Net, 2016).

Its drafts hold as often as the guide's, while its steps cost as much as those of a model of its size.
"""

import json
import re
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")
CLOSING = ("self_attn.o_proj.weight", "mlp.down_proj.weight")  # what a layer adds to the stream passes through these


def grow(source: Path, target: Path, factor: int, noise: float = 1e-4, seed: int = 0) -> None:
    """Write to `target` the checkpoint of `source` with `factor` times as many layers."""
    random = np.random.default_rng(seed)
    tensors = load_file(source / "model.safetensors")
    config = json.loads((source / "config.json").read_text("utf-8"))
    grown: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        match = LAYER.fullmatch(name)
        if match is None:
            grown[name] = tensor
            continue
        for copy in range(factor):
            layer = int(match[1]) * factor + copy
            passes = copy > 0 and match[2] in CLOSING
            values = random.normal(0, noise, tensor.shape).astype(tensor.dtype) if passes else tensor
            grown[f"model.layers.{layer}.{match[2]}"] = values
    target.mkdir(parents=True, exist_ok=True)
    save_file(grown, target / "model.safetensors", metadata={"format": "pt"})
    config["num_hidden_layers"] *= factor
    (target / "config.json").write_text(json.dumps(config), "utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(source / name, target / name)
