"""What an install needs, before its first byte."""

from app.hub.repository import HubFile, Repository, Variant, VariantKind
from app.jobs.install_plan import made_bytes
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
