"""An image part belongs to the model beside it that it was made for, by width, kind and name; else to nobody."""

from pathlib import Path

import pytest

from app.library.facts import Facts
from app.library.projectors import best, fits
from tests.library import foreign
from tests.library.conftest import Stage
from tests.library.gguf_bytes import write

QWEN = Facts(True, architecture="qwen2vl", width=3584)
PLAIN = Facts(True, architecture="qwen2", width=3584)
LLAVA = Facts(True, architecture="llama", width=4096)


def part(width: int | None, kind: str = "mlp") -> Facts:
    return Facts(False, architecture=kind, width=width)


SEVEN, THREE = part(3584, "qwen2.5vl_merger"), part(2048, "qwen2.5vl_merger")


@pytest.mark.parametrize(
    ("model", "facts", "projector", "of_projector", "does"),
    [
        (
            "Qwen2.5-VL-7B-Instruct-Q4_K_M",
            QWEN,
            "mmproj-Qwen2.5-VL-7B-Instruct-f16",
            SEVEN,
            True,
        ),
        (
            "Qwen2.5-7B-Instruct-Q4_K_M",
            PLAIN,
            "mmproj-Qwen2.5-VL-7B-Instruct-f16",
            SEVEN,
            False,
        ),
        ("qwen2.5vl-7b", QWEN, "mmproj-Qwen2.5-VL-7B-Instruct-f16", SEVEN, True),
        (
            "Qwen2.5-VL-7B-Instruct-Q4_K_M",
            QWEN,
            "mmproj-Qwen2.5-VL-3B-Instruct-f16",
            THREE,
            False,
        ),
        ("anything-Q4_K_M", LLAVA, "mmproj-model-f16", part(4096), True),
        ("anything-Q4_K_M", LLAVA, "mmproj-model-f16", part(5120), False),
        ("llava-v1.5-7b-Q4_K", LLAVA, "llava-v1.5-7b-mmproj-f16", part(4096), True),
        ("Meta-Llama-3.1-8B-Instruct-Q4_K_M", LLAVA, "llava-v1.5-7b-mmproj-f16", part(4096), False),
        ("llava-v1.5-7b-Q4_K", LLAVA, "llava-v1.5-7b-mmproj-f16", part(None, ""), True),
    ],
)
def test_by_width_kind_and_name(model: str, facts: Facts, projector: str, of_projector: Facts, does: bool) -> None:
    assert fits(f"/f/{model}.gguf", facts, f"/f/{projector}.gguf", of_projector) is does


def test_of_several_that_fit_the_one_whose_name_is_nearest() -> None:
    known = [(f"/f/mmproj-gemma-3-4b-it-{kind}.gguf", part(2560, "gemma3")) for kind in ("F32", "F16")]
    of_model = Facts(True, architecture="gemma3", width=2560)
    assert best("/f/gemma-3-4b-it-F16.gguf", of_model, known) == "/f/mmproj-gemma-3-4b-it-F16.gguf"
    assert best("/f/gemma-3-12b-it-F16.gguf", Facts(True, architecture="gemma3", width=3840), known) is None


def test_a_folder_of_several_models_and_one_image_part(stage: Stage) -> None:
    folder = stage.home / "f"
    stage.folders.append(str(folder))
    own = foreign.gguf(folder / "seeing-7b-Q4_K_M.gguf")
    foreign.gguf(folder / "blind-7b-Q4_K_M.gguf")
    foreign.gguf(folder / "wide-7b-Q4_K_M.gguf", **{"llama.embedding_length": 128})
    image = foreign.projector(folder / "mmproj-seeing-7b-f16.gguf")
    for library in (stage.library, stage.new_library()):
        entries = {entry.id: entry for entry in library.models()}
        assert {id_: entry.mmproj for id_, entry in entries.items()} == {
            "seeing-7b-Q4_K_M": image,
            "blind-7b-Q4_K_M": None,
            "wide-7b-Q4_K_M": None,
        }
    own.unlink()
    entries = {entry.id: entry for entry in stage.library.models()}
    assert [entry.mmproj for entry in entries.values()] == [None] * 3
    assert "the image part (mmproj)" in str(entries["mmproj-seeing-7b-f16"].problem)
    assert not entries["mmproj-seeing-7b-f16"].is_offered


def test_what_belongs_to_nobody_is_not_deleted_with_a_model(stage: Stage) -> None:
    folder = stage.models / "p" / "r"
    foreign.gguf(folder / "model.gguf", **{"llama.embedding_length": 128})
    image = foreign.projector(folder / "mmproj-model-f16.gguf")
    entry = next(entry for entry in stage.library.models() if entry.is_offered)
    assert (entry.id, entry.mmproj) == ("p/r", None)
    stage.library.remove("p/r")
    assert image.exists()


def test_an_early_llava_part_is_told_by_its_last_layer(tmp_path: Path) -> None:
    """Its projection_dim is the image encoder's own."""
    from app.library.gguf import projection

    settings = {"general.architecture": "clip", "clip.vision.projection_dim": 768}
    layers = [("mm.0.weight", [1024, 4096], 1), ("mm.2.bias", [4096], 0), ("mm.2.weight", [4096, 4096], 1)]
    assert projection(write(tmp_path / "mmproj.gguf", settings=settings, tensors=layers)) == ("", 4096)
