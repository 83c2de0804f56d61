"""What can be installed, told from names as people give them on the Hub."""

import json

import pytest

from app.hub.checkpoint import shards_of
from app.hub.repository import HubFile, VariantKind
from app.hub.variants import label, variants

LABELS = {
    "Qwen3-8B-Q4_K_M.gguf": "Q4_K_M",
    "qwen2.5-7b-instruct-q4_k_m.gguf": "Q4_K_M",
    "gemma-3-4b-it.Q8_0.gguf": "Q8_0",
    "Qwen3-30B-A3B-UD-Q4_K_XL.gguf": "UD-Q4_K_XL",
    "Model-IQ2_XXS.gguf": "IQ2_XXS",
    "Model.i1-IQ3_M.gguf": "IQ3_M",
    "BF16/Model-BF16-00001-of-00002.gguf": "BF16",
    "Q8_0/weights-00001-of-00003.gguf": "Q8_0",
    "model_fp16.gguf": "F16",
    "gpt-oss-20b-mxfp4.gguf": "MXFP4",
    "Phi-3-mini-4k-instruct-q4.gguf": None,
    "Qwen3-8B.gguf": None,
    "Llama-Q4-lover.gguf": None,
}


def files(*names: str, size: int = 1000) -> list[HubFile]:
    return [HubFile(name, size + number, "a" * 64) for number, name in enumerate(names)]


@pytest.mark.parametrize("name", LABELS)
def test_the_quantization_is_read_from_the_name(name: str) -> None:
    assert label(name) == LABELS[name]


def test_a_split_file_is_one_variant_with_its_parts_in_order() -> None:
    found = variants(files("m-Q8_0-00002-of-00003.gguf", "m-Q8_0-00003-of-00003.gguf", "m-Q8_0-00001-of-00003.gguf"))
    assert [variant.label for variant in found] == ["Q8_0"]
    assert [file.path[7:12] for file in found[0].files] == ["00001", "00002", "00003"]
    assert found[0].bytes == 3003


def test_a_split_file_without_one_of_its_parts_is_not_offered() -> None:
    assert variants(files("m-Q8_0-00001-of-00003.gguf", "m-Q8_0-00003-of-00003.gguf")) == ()


def test_parts_in_other_folders_are_other_models() -> None:
    found = variants(files("a/m-00001-of-00001.gguf", "b/m-00001-of-00001.gguf"))
    assert len(found) == 2


def test_image_parts_are_named_and_not_offered_alone() -> None:
    found = variants(files("m-Q4_K_M.gguf", "mmproj-BF16.gguf", "mmproj-m-F16.gguf"))
    assert [variant.label for variant in found] == ["Q4_K_M"]
    assert found[0].mmproj is not None
    assert found[0].mmproj.path == "mmproj-m-F16.gguf"


def test_the_image_part_beside_a_model_is_preferred() -> None:
    found = variants(files("a/m-Q8_0.gguf", "a/mmproj-F32.gguf", "mmproj-F16.gguf"))
    assert found[0].mmproj is not None
    assert found[0].mmproj.path == "a/mmproj-F32.gguf"


def test_matrices_adapters_and_vocabularies_are_no_models() -> None:
    assert variants(files("m-imatrix.gguf", "imatrix.dat", "m.imatrix", "ggml-vocab-x.gguf", "m-lora-F16.gguf")) == ()
    assert [it.label for it in variants(files("m-Q4_0-imatrix.gguf"))] == ["Q4_0"]


def test_models_that_share_a_label_are_told_apart_by_name() -> None:
    found = variants(files("small-Q4_0.gguf", "large-Q4_0.gguf", "only-Q8_0.gguf"))
    assert [variant.label for variant in found] == ["small-Q4_0", "large-Q4_0", "Q8_0"]
    assert {variant.quantization for variant in found} == {"Q4_0", "Q8_0"}


def test_smallest_first_and_the_checkpoint_last() -> None:
    names = ("model.safetensors", "config.json", "tokenizer.json", "m-Q8_0.gguf", "m-Q4_0.gguf")
    found = variants([HubFile(name, 10 - number) for number, name in enumerate(names)])
    assert [variant.label for variant in found] == ["Q4_0", "Q8_0", "Checkpoint"]
    assert found[-1].kind is VariantKind.CHECKPOINT


def test_a_checkpoint_brings_what_its_conversion_reads_and_no_code() -> None:
    names = ("config.json", "tokenizer.json", "modeling_x.py", "model.safetensors", "README.md", "chat_template.jinja")
    (found,) = variants(files(*names, "original/consolidated.00.pth", "optimizer.bin", "pytorch_model.bin"))
    assert {file.path for file in found.files} == {
        "config.json",
        "tokenizer.json",
        "chat_template.jinja",
        "model.safetensors",
    }


def test_shards_are_those_that_the_index_names() -> None:
    names = ("config.json", "model.safetensors.index.json", "x-1.safetensors", "x-2.safetensors", "other.safetensors")
    index = json.dumps({"weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors"}}).encode()
    (found,) = variants(files(*names), shards_of(index))
    assert [file.path for file in found.files][-2:] == ["x-1.safetensors", "x-2.safetensors"]
    assert variants(files(*names)) == ()  # without the index nobody knows which


def test_shards_by_their_numbers_when_the_index_is_kept_back() -> None:
    shards = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    (found,) = variants(files("config.json", *shards))
    assert [file.path for file in found.files][1:] == shards
    assert variants(files("config.json", *shards[:2])) == ()


def test_pickles_only_where_there_is_no_safetensors() -> None:
    (found,) = variants(files("config.json", "pytorch_model.bin"))
    assert [file.path for file in found.files] == ["config.json", "pytorch_model.bin"]
    assert variants(files("config.json", "pytorch_model.bin", "a.safetensors", "b.safetensors")) == ()


def test_weights_without_a_configuration_and_adapters_are_no_checkpoint() -> None:
    assert variants(files("model.safetensors")) == ()
    assert variants(files("config.json", "adapter_model.safetensors")) == ()


@pytest.mark.parametrize("index", [b"", b"[]", b'{"weight_map": 3}', b'{"weight_map": {}}', b"[" * 100_000, b"\xff"])
def test_an_index_that_is_none_is_not_believed(index: bytes) -> None:
    assert shards_of(index) is None


def test_an_index_that_points_elsewhere_is_not_followed() -> None:
    index = shards_of(b'{"weight_map": {"a": "../../evil.safetensors", "b": {"x": 1}}}')
    assert variants(files("config.json", "model.safetensors"), index)[0].files[-1].path == "model.safetensors"
