"""What people type instead of an id, and what they are told when it is nobody's name."""

import pytest

from app.errors import UnknownModelError, UsageError
from app.jobs.choice import parse_name
from app.jobs.install_guide import MODEL_FILE as GUIDE_FILE
from app.jobs.install_smollm2 import MODEL_FILE as SMOLLM2_FILE
from tests.library import foreign
from tests.library.conftest import Stage


def test_the_words_that_install_a_model_name_it_too(stage: Stage) -> None:
    guide = foreign.gguf(stage.models / "slipstream" / "guide" / GUIDE_FILE)
    smollm2 = foreign.gguf(stage.models / "HuggingFaceTB" / "SmolLM2-135M-Instruct" / SMOLLM2_FILE)
    foreign.gguf(smollm2.with_name("SmolLM2-135M-Instruct-Q2_K.gguf"))
    library = stage.new_library()
    found = {word: library.find(word).path for word in ("guide", "Guide", "smollm2", "SmolLM2")}
    assert found == {"guide": guide, "Guide": guide, "smollm2": smollm2, "SmolLM2": smollm2}


def test_a_models_own_name_comes_before_a_word_of_ours(stage: Stage) -> None:
    foreign.gguf(stage.models / "slipstream" / "guide" / GUIDE_FILE)
    own = foreign.gguf(stage.home / "drive" / "guide.gguf")
    stage.folders = [str(own.parent)]
    assert stage.new_library().find("guide").path == own


def test_capitals_do_not_count_where_one_model_is_meant(stage: Stage) -> None:
    path = foreign.gguf(stage.models / "Org" / "Tiny-Chat" / "Tiny-Chat-F16.gguf")
    library = stage.new_library()
    for name in ("org/tiny-chat", "tiny-chat", "tiny-chat-f16.gguf", "ORG/TINY-CHAT:f16"):
        assert library.find(name).path == path, name
    foreign.gguf(stage.models / "org2" / "TINY-chat" / "TINY-chat-F16.gguf")
    with pytest.raises(UnknownModelError, match="may be any of several"):
        library.find("tiny-chat")


def test_the_sentence_names_what_can_run_and_nothing_else(stage: Stage) -> None:
    stage.models.mkdir(parents=True, exist_ok=True)
    for number in range(14):
        (stage.models / f"a{number}.gguf").write_bytes(b"<html>")
    foreign.gguf(stage.models / "z.gguf")
    with pytest.raises(UnknownModelError, match=r"There is no model “q”. Here are: z\.$"):
        stage.new_library().find("q")
    (stage.models / "z.gguf").unlink()
    with pytest.raises(UnknownModelError, match="no model of the library can run"):
        stage.new_library().find("q")


@pytest.mark.parametrize("name", ["Smollm", "guides"])
def test_a_name_without_a_publisher_is_told_the_two_that_need_none(name: str) -> None:
    with pytest.raises(UsageError, match="“guide” and “smollm2” need no publisher"):
        parse_name(name)
