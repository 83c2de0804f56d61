"""How large a checkpoint becomes as a GGUF file."""

import pytest

from app.hub.quantizations import BITS_PER_WEIGHT, predicted_bytes
from app.hub.repository import Repository, Variant, VariantKind

GB = 1_000_000_000


def test_the_size_of_what_a_checkpoint_becomes_is_predicted() -> None:
    """Of Llama 3.1 8B: 4.92 GB as Q4_K_M, 8.54 GB as Q8_0."""
    checkpoint = Variant("Checkpoint", VariantKind.CHECKPOINT, (), None, 16 * GB)
    repository = Repository("a/b", "0" * 40, (), (checkpoint,), parameters=8_030_261_312)
    assert predicted_bytes(repository, checkpoint, "Q4_K_M") == pytest.approx(4.92 * GB, rel=0.01)
    assert predicted_bytes(repository, checkpoint, "Q8_0") == pytest.approx(8.54 * GB, rel=0.01)
    assert next(iter(BITS_PER_WEIGHT)) == "Q4_K_M"


@pytest.mark.parametrize(
    ("quantization", "least", "most"), [("Q4_K_M", 11.2, 12.2), ("Q8_0", 11.8, 13.0), ("BF16", 13.5, 14.2)]
)
def test_experts_that_stay_in_mxfp4_are_counted_as_they_stay(quantization: str, least: float, most: float) -> None:
    """gpt-oss-20b: 13.8 GB of checkpoint; its files of others have 11.6 (Q4_K_M), 12.1 (Q8_0) and 13.8 GB (F16)."""
    checkpoint = Variant("Checkpoint", VariantKind.CHECKPOINT, (), None, 13_761_300_984)
    repository = Repository("a/b", "0" * 40, (), (checkpoint,), architecture="gpt_oss", parameters=21_511_953_984)
    assert least * GB < predicted_bytes(repository, checkpoint, quantization) < most * GB


def test_weights_of_16_bits_are_counted_as_ever_whatever_the_architecture() -> None:
    checkpoint = Variant("Checkpoint", VariantKind.CHECKPOINT, (), None, 41_830_000_000)
    repository = Repository("a/b", "0" * 40, (), (checkpoint,), architecture="gpt_oss", parameters=20_914_757_184)
    assert predicted_bytes(repository, checkpoint, "BF16") == pytest.approx(41.83 * GB, rel=0.01)
