"""Every structure of tokenizer that checkpoints ship gives the same tokens in llama.cpp. Asked in one child."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer

from app.jobs.child import run_in_child
from backends.child import Refusal
from backends.convert.special_tokens import adds, template_ends
from backends.convert.tokenizer import read_vocabulary
from backends.convert.vocabulary import TokenType, Vocabulary
from backends.formats.gguf import read_header
from tests.convert import checkpoints
from tests.convert import vocabularies as made

CASES: dict[str, Callable[[], Tokenizer | bytes]] = {
    **{name: lambda name=name: made.byte_level(name) for name in made.STEPS},
    "tokenizer.model": lambda: made.sentencepiece(),
    "tokenizer.model of Gemma": lambda: made.sentencepiece(adds_space=False),
    **{
        f"tokenizer.json, {style}": lambda style=style: made.fallback_bpe(style)
        for style in ("prepend", "first", "never", "split")
    },
    "Gemma4ForCausalLM": lambda: made.fallback_bpe("split"),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("vocabularies")
    folders = [made.write(root / str(i), case(), bos_token="<s>") for i, case in enumerate(CASES.values())]
    for folder, case in zip(folders, CASES, strict=True):
        made.to_gguf(folder, architecture=case)
    log = root / "log"
    differences = run_in_child("tests.convert.native:differences", log_path=log, folders=folders)
    return dict(zip(CASES, differences, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_the_tokens_are_those_of_the_original(case: str, outcomes: dict[str, str]) -> None:
    assert outcomes[case] == ""


def vocabulary(folder: Path, config: dict[str, Any] | None = None) -> Vocabulary:
    return read_vocabulary(folder, made.SIZE, config or {})


def test_a_sentencepiece_vocabulary_is_that_of_the_library(tmp_path: Path) -> None:
    processor = SentencePieceProcessor(model_proto=made.sentencepiece())
    lexicon = vocabulary(made.write(tmp_path, made.sentencepiece())).lexicon
    count = processor.GetPieceSize()
    assert lexicon.tokens[:count] == [processor.IdToPiece(i) for i in range(count)]
    assert lexicon.scores is not None
    assert lexicon.scores[:count] == [processor.GetScore(i) for i in range(count)]
    assert [t is TokenType.BYTE for t in lexicon.types[:count]] == [processor.IsByte(i) for i in range(count)]
    assert lexicon.types[:4] == [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL, TokenType.USER_DEFINED]
    assert set(lexicon.types[count:]) == {TokenType.UNUSED}
    assert len(lexicon.tokens) == made.SIZE


def test_added_tokens_lie_over_a_sentencepiece_model(tmp_path: Path) -> None:
    decoder = {
        "600": {"content": "<|user|>", "special": True},
        "601": {"content": "a\u2581word"},
        "9999": {"content": "<beyond>", "special": True},
    }
    folder = made.write(tmp_path, made.sentencepiece(), added_tokens_decoder=decoder, eos_token="<|user|>")
    checkpoints.write_json(folder / "added_tokens.json", {"<first>": 602, "<|user|>": 600})
    found = vocabulary(folder)
    assert found.lexicon.tokens[600:603] == ["<|user|>", "a word", "<first>"]
    assert found.lexicon.types[600:603] == [TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.USER_DEFINED]
    assert found.special_ids == {"bos": 1, "eos": 600, "unk": 0}
    assert (found.adds_bos, found.adds_eos) == (True, False)


def test_a_generation_config_names_more_ends(tmp_path: Path) -> None:
    tokenizer = made.byte_level("qwen2")
    tokenizer.add_special_tokens(["<stop>", "<halt>", "<quit>"])
    folder = made.write(tmp_path, tokenizer, eos_token="<|im_end|>")
    stop = [tokenizer.token_to_id(text) for text in ("<|im_end|>", "<|endoftext|>", "<stop>", "<halt>", "<quit>")]
    checkpoints.write_json(folder / "generation_config.json", {"eos_token_id": stop})
    found = vocabulary(folder)
    assert found.special_ids == {"eos": stop[0], "eot": stop[2], "eom": stop[3]}  # <|endoftext|> is known to llama.cpp
    assert found.notes == ("The file has no place to say that '<quit>' ends an answer, too.",)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [({"eos_token_id": [2, 1]}, 2), ({"text_config": {"eos_token_id": 1}}, 1), ({}, 0), ({"eos_token_id": True}, 0)],
)
def test_a_vocabulary_never_goes_without_an_end(config: dict[str, Any], wanted: int, tmp_path: Path) -> None:
    """Without one llama.cpp takes token 11. <|endoftext|> is token 0 here."""
    found = vocabulary(made.write(tmp_path, made.byte_level("qwen2")), config)
    assert found.special_ids["eos"] == wanted


def test_a_vocabulary_without_any_end_says_so(tmp_path: Path) -> None:
    document = json.loads(made.byte_level("qwen2").to_str())
    renamed = json.dumps(document).replace("<|endoftext|>", "<|a|>").replace("<|im_end|>", "<|b|>")
    found = vocabulary(made.write(tmp_path, Tokenizer.from_str(renamed)))
    assert found.special_ids == {}
    assert "does not say which token ends an answer" in found.notes[0]


def phi3() -> Tokenizer:
    tokenizer = made.fallback_bpe("prepend")
    document = json.loads(tokenizer.to_str())
    texts = ("<unk>", "<s>", "</s>", "<|endoftext|>", "<|im_start|>", "<|im_end|>")
    document["added_tokens"] = [
        {**token, "rstrip": token["content"] not in ("<unk>", "<s>", "<|endoftext|>")}
        for token in document["added_tokens"]
        if token["content"] in texts
    ]
    return Tokenizer.from_str(json.dumps(document))


def test_a_phi3_swallows_the_spaces_that_the_original_swallows(tmp_path: Path) -> None:
    folder = made.write(tmp_path / "phi", phi3())
    target, found = made.to_gguf(folder)
    assert found.is_phi3
    assert read_header(target).metadata["general.name"] == "phi (phi-3)"
    texts = ["<|im_start|> \n a<|im_end|>  b<s>  c</s> d"]
    got = run_in_child(
        "tests.convert.native:tokens", log_path=tmp_path / "x", path=target, texts=texts, add_special=False
    )
    assert got[0][0] == phi3().encode(texts[0], add_special_tokens=False).ids


TEMPLATES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "text": ({"tokenizer_config.json": "A"}, {"default": "A"}),
    "jinja wins": ({"tokenizer_config.json": "A", "chat_template.jinja": "B"}, {"default": "B"}),
    "own file": ({"chat_template.json": "C"}, {"default": "C"}),
    "list": (
        {"tokenizer_config.json": [{"name": "default", "template": "A"}, {"name": "tool use", "template": "T"}]},
        {"default": "A", "tool_use": "T"},
    ),
    "folder": (
        {"chat_template.jinja": "B", "additional_chat_templates/rag.jinja": "R"},
        {"default": "B", "rag": "R"},
    ),
    "empty": ({"tokenizer_config.json": ""}, {}),
    "none": ({}, {}),
}


@pytest.mark.parametrize("case", TEMPLATES)
def test_chat_templates_are_found_where_they_hide(case: str, tmp_path: Path) -> None:
    files, wanted = TEMPLATES[case]
    folder = made.write(tmp_path, made.byte_level("qwen2"))
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        if name.endswith(".json"):
            checkpoints.write_json(folder / name, {"chat_template": content})
        else:
            (folder / name).write_text(content, encoding="utf-8")
    target, found = made.to_gguf(folder)
    assert found.templates == wanted
    metadata = read_header(target).metadata
    assert metadata.get("tokenizer.chat_template") == wanted.get("default")
    for name, template in wanted.items():
        assert name == "default" or metadata[f"tokenizer.chat_template.{name}"] == template


def broken(folder: Path, **changes: Any) -> Path:
    made.change(made.write(folder, made.fallback_bpe("prepend")), **changes)
    return folder


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "Unigram": (lambda f: made.write(f, made.sentencepiece(kind="unigram")), "SentencePiece model of the kind Unigram"),
    "characters": (lambda f: made.write(f, made.sentencepiece(rule="nmt_nfkc")), "rewrites a text before it cuts it"),
    "cut": (lambda f: made.write(f, made.sentencepiece()[:5000]), "tokenizer.model is damaged"),
    "another format": (lambda f: made.write(f, b"IQ== 0\nIg== 1\n"), "tokenizer.model is damaged"),
    "normalizer": (lambda f: broken(f, normalizer={"type": "Lowercase"}), "no SentencePiece model in BPE's clothes"),
    "words": (lambda f: broken(f, pre_tokenizer={"type": "Whitespace"}), "no SentencePiece model in BPE's clothes"),
    "no file": (lambda f: f, "tokenizer.json is missing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_llama_cpp_has_no_tokenizer_for_is_refused(case: str, tmp_path: Path) -> None:
    prepare, sentence = REFUSED[case]
    with pytest.raises(Refusal, match=sentence):
        vocabulary(prepare(tmp_path))


def test_gemma4_without_a_beginning_is_refused(tmp_path: Path) -> None:
    folder = made.write(tmp_path, made.fallback_bpe("split"))
    with pytest.raises(Refusal, match="no token that begins a text"):
        vocabulary(folder, {"architectures": ["Gemma4ForConditionalGeneration"]})


def test_a_model_with_fewer_rows_than_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="has only 300 rows"):
        read_vocabulary(made.write(tmp_path / "a", made.sentencepiece()), 300, {})
    with pytest.raises(Refusal, match="300 rows that the model has for tokens do not go together"):
        read_vocabulary(made.write(tmp_path / "b", made.fallback_bpe("first")), 300, {})


def processor(*pieces: str, kind: str = "TemplateProcessing") -> dict[str, Any]:
    """A post-processor; "A" is the text, all else a special token."""
    single = [{"Sequence": {"id": "A"}} if piece == "A" else {"SpecialToken": {"id": piece}} for piece in pieces]
    processors = [{"type": "ByteLevel"}, {"type": kind, "single": single}]
    return {"post_processor": {"type": "Sequence", "processors": processors}}


def test_all_tokens_around_a_text_are_seen() -> None:
    assert template_ends(processor("<s>", "A", "</s>")) == ("<s>", "</s>")
    assert template_ends(processor("A")) == (None, None)
    assert template_ends({}) == (None, None)
    first, last = template_ends(processor("[gMASK]", "<sop>", "A"))
    assert last is None
    with pytest.raises(Refusal, match=r"adds '\[gMASK\]<sop>' around a text"):
        adds(None, first, 0, ["[gMASK]", "<sop>"])
    with pytest.raises(Refusal, match=r"around a text \(BertProcessing\)"):
        template_ends(processor("A", kind="BertProcessing"))
