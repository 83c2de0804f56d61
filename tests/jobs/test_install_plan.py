"""What an install needs, before its first byte."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from app.hub.repository import HubFile, Repository, Variant, VariantKind
from app.jobs.install_plan import full_type, made_bytes
from app.jobs.install_request import InstallRequest


def request(architecture: str) -> InstallRequest:
    files = (HubFile("config.json", 1_800), HubFile("model.safetensors", 13_761_300_984))
    checkpoint = Variant("Checkpoint", VariantKind.CHECKPOINT, files, None, sum(file.bytes for file in files))
    found = Repository("a/b", "0" * 40, files, (checkpoint,), architecture=architecture, parameters=21_511_953_984)
    return InstallRequest.of(found, checkpoint)


def test_experts_that_stay_packed_need_no_room_for_16_bits() -> None:
    assert made_bytes(request("gpt_oss")) == request("gpt_oss").download_bytes


def test_packed_weights_that_become_floats_need_it() -> None:
    assert made_bytes(request("qwen3")) == 2 * 21_511_953_984


@pytest.mark.parametrize(
    ("stored", "wanted"), [(torch.bfloat16, "bf16"), (torch.float16, "f16"), (torch.float32, "f16")]
)
def test_a_file_that_names_no_dtype_is_converted_to_its_own(stored: torch.dtype, wanted: str, tmp_path: Path) -> None:
    """openai/gpt-oss-* do not; as F16 their BF16 would lose."""
    tensors = {"lm_head.weight": torch.ones(4, 4, dtype=stored), "x_scales": torch.ones(4, dtype=torch.uint8)}
    save_file(tensors, tmp_path / "model-00001-of-00001.safetensors")
    (tmp_path / "config.json").write_text('{"architectures": ["GptOssForCausalLM"]}')
    assert full_type("Q4_K_M", tmp_path) == wanted


def test_what_the_file_says_counts_before_what_is_stored(tmp_path: Path) -> None:
    save_file({"x": torch.ones(4, dtype=torch.float16)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"torch_dtype": "bfloat16"}')
    assert full_type("Q4_K_M", tmp_path) == "bf16"
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 100)
    (tmp_path / "config.json").write_text("{}")
    assert full_type("Q4_K_M", tmp_path) == "f16"
