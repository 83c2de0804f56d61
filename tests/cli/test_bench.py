"""`slipstream bench`: what is wrong is told before anything is measured."""

from pathlib import Path

import pytest

from app.cli.bench import _file_name
from tests.cli.test_commands import slipstream


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing"], 1, "nothing"),
        (["nothing", "--context", "0"], 2, "--context"),
        (["nothing", "--output", __file__], 2, "is there already"),
    ],
)
def test_what_cannot_be_measured_is_a_sentence(arguments: list[str], code: int, words: str) -> None:
    result = slipstream("bench", *arguments)
    assert result.returncode == code
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert Path(__file__).stat().st_size


@pytest.mark.parametrize(
    ("model", "name"),
    [("publisher/model:Q4_1", "publisher-model-Q4_1"), (str(Path.cwd() / "folder" / "a model.gguf"), "a-model.gguf")],
)
def test_the_page_is_named_for_the_model_and_not_for_its_folder(model: str, name: str) -> None:
    assert _file_name(model) == name
