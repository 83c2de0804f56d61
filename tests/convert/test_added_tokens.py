"""Tokens that a checkpoint lists beside its words get the ids that transformers gives them, whatever the files say."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from app.jobs.child import run_in_child
from backends.child import Refusal
from backends.convert.added_tokens import added_beside_model
from backends.convert.tokenizer import read_vocabulary
from backends.convert.vocabulary import TokenType
from tests.convert import vocabularies as made
from tests.convert.checkpoints import write_json

Change = Callable[[dict[str, Any], dict[str, Any]], None]  # of tokenizer.json and tokenizer_config.json
SETTINGS: dict[str, Any] = {"eos_token": "<|im_end|>", "tokenizer_class": "PreTrainedTokenizerFast"}
PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def token(content: str, **changes: Any) -> dict[str, Any]:
    return {**PLAIN, "content": content, **changes}


def add(*entries: dict[str, Any]) -> Change:
    return lambda document, _: document["added_tokens"].extend(entries)


def say(**settings: Any) -> Change:
    return lambda _, found: found.update(settings)


def decoder(*entries: tuple[int, dict[str, Any]]) -> Change:
    return say(added_tokens_decoder={str(id_): entry for id_, entry in entries})


def both(first: Change, second: Change) -> Change:
    def change(document: dict[str, Any], settings: dict[str, Any]) -> None:
        first(document, settings)
        second(document, settings)

    return change


CASES: dict[str, Change] = {
    "ids with holes": add(token("<x>", id=1250), token("<y>", id=1270)),
    "one text twice": add(token("<x>", id=1250), token("<x>", id=1251), token("<y>", id=1252)),
    "one id twice": add(token("<x>", id=1250), token("<y>", id=1250)),
    "a word of the vocabulary": add(token("he", id=1250, special=False)),
    "the id of a word": add(token("<x>", id=300)),
    "runs of spaces": add(*(token(" " * n, id=1250 + n, special=False) for n in range(2, 9))),
    "more in the settings": decoder((1250, token("<x>")), (1251, token("<y>", special=False))),
    "special in the settings only": both(add(token("<x>", id=1250, special=False)), decoder((1250, token("<x>")))),
    "a new padding token": say(pad_token="[PAD]"),
    "extra ones as a list": say(extra_special_tokens=["<x>", "<y>"]),
    "extra ones by name": say(extra_special_tokens={"image_token": "<x>"}),
    "additional ones": say(additional_special_tokens=["<x>"]),
    "named as an object": say(eos_token=token("<x>", __type="AddedToken")),
    "many": add(*(token(f"<r{i}>", id=5000 + i) for i in range(60))),
}


@pytest.fixture(scope="module")
def plain() -> str:
    return made.byte_level("qwen2").to_str()


@pytest.fixture(scope="module")
def folders(plain: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("added")
    found = {}
    for number, (name, change) in enumerate(CASES.items()):
        document, settings = (
            json.loads(plain),
            {"eos_token": "<|im_end|>", "tokenizer_class": "PreTrainedTokenizerFast"},
        )
        change(document, settings)
        found[name] = root / str(number)
        found[name].mkdir()
        write_json(found[name] / "tokenizer.json", document)
        write_json(found[name] / "tokenizer_config.json", settings)
    return found


@pytest.fixture(scope="module")
def outcomes(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    for folder in folders.values():
        made.to_gguf(folder)
    log = tmp_path_factory.mktemp("log") / "log"
    found = run_in_child("tests.convert.native:differences", log_path=log, folders=list(folders.values()))
    return dict(zip(folders, found, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_the_ids_are_those_of_transformers(case: str, folders: dict[str, Path]) -> None:
    lexicon = read_vocabulary(folders[case], made.SIZE, {}).lexicon
    original = AutoTokenizer.from_pretrained(folders[case])
    known = {text: id_ for id_, text in enumerate(lexicon.tokens) if lexicon.types[id_] is not TokenType.UNUSED}
    assert known == {text: id_ for text, id_ in original.get_vocab().items() if id_ < made.SIZE}
    control = {lexicon.tokens[id_] for id_, type_ in enumerate(lexicon.types) if type_ is TokenType.CONTROL}
    assert control == {t.content for t in original.added_tokens_decoder.values() if t.special and t.content in known}


@pytest.mark.parametrize("case", CASES)
def test_the_tokens_are_those_of_the_original(case: str, outcomes: dict[str, str]) -> None:
    assert outcomes[case] == ""


def test_a_token_on_the_id_of_another_is_refused(plain: str, tmp_path: Path) -> None:
    """The library numbers on from the count of words, also where the last word has that number."""
    document = json.loads(plain)
    document["model"]["vocab"]["zz"] = len(document["model"]["vocab"]) + 1
    document["added_tokens"].append(token("<x>", id=1250))
    write_json(tmp_path / "tokenizer.json", document)
    with pytest.raises(Refusal, match="two tokens share an id"):
        read_vocabulary(tmp_path, made.SIZE, {})


def test_two_words_of_added_tokens_json_on_one_id_are_refused(tmp_path: Path) -> None:
    """Its ids count, other than those of tokenizer.json: the second would take the first one's place in silence."""
    write_json(tmp_path / "added_tokens.json", {"<a>": 700, "<b>": 700})
    with pytest.raises(Refusal, match=r"added_tokens\.json is damaged: two tokens share an id"):
        added_beside_model(tmp_path, {})
    write_json(tmp_path / "added_tokens.json", {"<a>": 700, "<b>": 701})
    assert {id_: token.text for id_, token in added_beside_model(tmp_path, {}).items()} == {700: "<a>", 701: "<b>"}
