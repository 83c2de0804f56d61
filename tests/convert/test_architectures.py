"""Every architecture: what transformers saved, converted to F32 and run by llama.cpp, gives transformers' logits."""

import numpy as np
import pytest

from app.jobs.child import run_in_child
from backends.convert.architectures import ARCHITECTURES
from backends.convert.converter import convert
from tests.convert import families
from tests.convert.families import FAMILIES

Pair = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """Name of a family -> logits of transformers and of llama.cpp. One child runs all files."""
    folder = tmp_path_factory.mktemp("families")
    wanted, files = {}, {}
    for number, (name, family) in enumerate(FAMILIES.items()):
        wanted[name] = families.save(family, folder / str(number))
        files[name] = folder / f"{number}.gguf"
        convert(lambda _: None, folder / str(number), files[name], "f32")
    got = run_in_child(
        "tests.convert.native:all_logits", log_path=folder / "log", paths=list(files.values()), ids=families.ids()
    )
    return {name: (wanted[name], logits) for name, logits in zip(files, got, strict=True)}


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_those_of_transformers(name: str, pairs: dict[str, Pair]) -> None:
    wanted, got = pairs[name]
    assert wanted.shape == got.shape
    assert len(wanted) == families.NUM_TOKENS
    assert wanted.std() > 0.1
    assert np.abs(wanted - got).max() <= 1e-2
    assert (wanted.argmax(-1) == got.argmax(-1)).all()


def test_every_architecture_of_the_table_is_proved() -> None:
    proved = {f"{f.name}For{'ConditionalGeneration' if f.nested else 'CausalLM'}" for f in FAMILIES.values()}
    assert proved == {name for name, each in ARCHITECTURES.items() if not each.is_encoder}  # those: test_encoders
