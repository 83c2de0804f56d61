"""What no conversion knows is refused by its name, before anything else is said of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from backends.child import Refusal
from backends.convert.architectures import ARCHITECTURES
from backends.convert.converter import convert
from backends.formats.convertible import CONVERTIBLE


def test_the_application_knows_the_very_architectures_of_the_table() -> None:
    assert frozenset(ARCHITECTURES) == CONVERTIBLE


def test_an_unknown_architecture_is_refused_before_its_tensors(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["T5EncoderModel"], "model_type": "t5"}))
    save_file({"embeddings.position_ids": np.arange(4, dtype=np.int64)}, tmp_path / "model.safetensors")
    with pytest.raises(Refusal, match="T5EncoderModel"):
        convert(lambda _: None, tmp_path, tmp_path / "out.gguf")
