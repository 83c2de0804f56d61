"""Every structure of tokenizer that checkpoints ship gives the same tokens in llama.cpp. Asked in one child."""

from collections.abc import Callable

import pytest
from tokenizers import Tokenizer

from app.jobs.child import run_in_child
from tests.convert import vocabularies as made

CASES: dict[str, Callable[[], Tokenizer | bytes]] = {
    **{name: lambda name=name: made.byte_level(name) for name in made.STEPS},
    "tokenizer.model": lambda: made.sentencepiece(),
    "tokenizer.model of Gemma": lambda: made.sentencepiece(adds_space=False),
    **{
        f"tokenizer.json, {style}": lambda style=style: made.fallback_bpe(style)
        for style in ("prepend", "first", "never", "split")
    },
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("vocabularies")
    folders = [made.write(root / str(i), case()) for i, case in enumerate(CASES.values())]
    for folder in folders:
        made.to_gguf(folder)
    log = root / "log"
    differences = run_in_child("tests.convert.native:differences", log_path=log, folders=folders)
    return dict(zip(CASES, differences, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_the_tokens_are_those_of_the_original(case: str, outcomes: dict[str, str]) -> None:
    assert outcomes[case] == ""
