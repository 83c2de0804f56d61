"""No number of a checkpoint does harm: a sample of what `python -m tests.bench.attacks converter` sets off."""

import os
from pathlib import Path

import pytest

from app.jobs.child import run_in_child
from backends.convert.architectures import ARCHITECTURES
from tests.convert import bombs, tiny

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the child bounds its memory and time by POSIX means")
CONFIG_STEP, FILE_STEP = 61, 17  # coprime with the number of values, so that each comes up
NAMED = (
    "LlamaForCausalLM/num_hidden_layers=1e9",
    "DeepseekV2ForCausalLM/num_hidden_layers=1e9",
    "Lfm2ForCausalLM/num_hidden_layers=1e9",
    "MixtralForCausalLM/num_local_experts=2**31",
    "GptOssForCausalLM/num_local_experts=1e9",
    "LlamaForCausalLM/rope_parameters.rope_theta=1e308",
    "MistralForCausalLM/rope_theta=1e308",
    "GraniteForCausalLM/rms_norm_eps=1e308",
    "Glm4ForCausalLM/partial_rotary_factor=1e308",
    "DeepseekV3ForCausalLM/n_group=1e9",
    "Gemma4ForCausalLM/per_layer_config=table of tables",
    "files/a million shards",
    "files/a shape of a terabyte",
    "files/100,000 tensors",
    "files/pieces of many fields",
    "files/an added surrogate",
    "files/two million merges",
    "files/merges of thirty megabytes",
)


def test_every_architecture_has_a_sound_checkpoint_to_spoil() -> None:
    assert set(tiny.SETTINGS) == {name for name in ARCHITECTURES if name.endswith("ForCausalLM")}


def test_no_setting_does_harm_and_what_comes_of_it_can_be_loaded(tmp_path: Path) -> None:
    every = [*bombs.named()][::CONFIG_STEP]
    results = bombs.run([*NAMED, *every], kept=tmp_path, native=20)
    assert {case: fault for case, fault in results.items() if fault} == {}
    assert len(results) > len(NAMED) + 200
    kept = list(tmp_path.glob("*.gguf"))
    assert kept
    logits = run_in_child("tests.convert.native:all_logits", log_path=tmp_path / "log", paths=kept, ids=[1, 2, 3])
    assert len(logits) == len(kept)


def test_no_file_of_a_checkpoint_does_harm() -> None:
    results = bombs.run([*bombs.files()][::FILE_STEP])
    assert {case: fault for case, fault in results.items() if fault} == {}
    assert len(results) > 200
