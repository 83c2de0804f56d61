"""What popular models' config.json looks like: each is read, and a checkpoint of its shape can be planned."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.convert import plan
from backends.convert.config import Size
from backends.convert.layout import Held
from backends.convert.settings import read_config
from tests.convert import checkpoints
from tests.convert.published_configs import CONFIGS

CONTEXTS = {  # where it is not max_position_embeddings
    "mistralai/Mistral-7B-Instruct-v0.1": 4096,
    "microsoft/Phi-3-mini-4k-instruct": 2047,
    "google/gemma-3-4b-it": 131_072,
}


def planned(folder: Path, values: dict[str, Any]) -> tuple[Any, list[plan.PlannedTensor]]:
    checkpoints.write_json(folder / "config.json", values)
    architecture, config = read_config(folder)
    sources: dict[str, Held] = {}
    targets: set[str] = set()
    for row, prefix, target in plan._rows(architecture, config, has_output=not config.is_tied):
        if target in targets or not row.is_required or row.source.endswith("_blocks"):
            continue
        targets.add(target)
        held = Held(np.broadcast_to(np.float32(0), tuple(config.sizes[size] for size in row.shape)))
        experts = range(config.sizes[Size.EXPERTS]) if "*" in row.source else (0,)
        sources |= {prefix + row.source.replace("*", str(expert)): held for expert in experts}
    return config, plan.plan_tensors(architecture, config, sources, "bf16")


@pytest.mark.parametrize("name", CONFIGS)
def test_it_is_read_and_planned(name: str, tmp_path: Path) -> None:
    values = CONFIGS[name]
    config, tensors = planned(tmp_path, values)
    assert len(tensors) > config.num_layers * 6
    said = values.get("text_config", values).get("max_position_embeddings")
    assert config.context == CONTEXTS.get(name, said)


def _changed(**changes: Any) -> dict[str, Any]:
    return {**CONFIGS["Qwen/Qwen3-4B"], **changes}


SHAPES = {
    "dtype of transformers 5": _changed(torch_dtype=None, dtype="bfloat16"),
    "no tie": {k: v for k, v in CONFIGS["Qwen/Qwen3-4B"].items() if k != "tie_word_embeddings"},
    "rope_parameters": _changed(rope_theta=None, rope_parameters={"rope_type": "default", "rope_theta": 1000000}),
    "both tables, one empty": _changed(rope_parameters={"rope_type": "default", "rope_theta": 1e6}, rope_scaling={}),
    "layer_types of full layers": _changed(layer_types=["full_attention"] * 2),
    "no quantization": _changed(quantization_config=None),
    "custom code beside it": _changed(auto_map={"AutoModelForCausalLM": "modeling.X"}),
    "rope of words": _changed(rope_scaling={"rope_type": "default", "type": "default"}),
    "whole numbers as floats": _changed(rope_theta=1e6, rms_norm_eps=1e-6),
    "the same twice": _changed(architectures=["Qwen3ForCausalLM", "Qwen3ForCausalLM"]),
    "a nested head": _changed(text_config=None, vision_config=None),
}


@pytest.mark.parametrize("case", SHAPES)
def test_a_shape_in_which_files_are_written_is_read(case: str, tmp_path: Path) -> None:
    config, tensors = planned(tmp_path, SHAPES[case])
    assert config.rope.theta == 1e6
    assert len(tensors) == 2 * 11 + (3 if case == "no tie" else 2)
