"""Reads whatever tokenizer a checkpoint has into the vocabulary of a GGUF file. Runs no tokenizer."""

from pathlib import Path
from typing import Any

from backends.child import Refusal
from backends.convert.added_tokens import added_beside_model, added_in_json
from backends.convert.byte_level import read_byte_level
from backends.convert.chat_template import read_templates
from backends.convert.fallback_bpe import is_fallback_bpe, read_fallback_bpe, read_gemma4
from backends.convert.files import read_json
from backends.convert.sentencepiece_model import read_lexicon, read_model
from backends.convert.special_tokens import add_more_ends, adds, find_special_ids, template_ends
from backends.convert.vocabulary import AddedToken, Lexicon, TokenType, Vocabulary
from backends.convert.wordpiece import is_wordpiece, read_wordpiece

MAX_TOKENIZER_BYTES = 48 << 20  # the largest, of Gemma: 33 MB
PHI3_KEEPING = {"<unk>", "<s>", "<|endoftext|>"}  # llama.cpp leaves the spaces after these to a Phi-3, and no others
SWALLOWS = "Some special tokens of the original tokenizer swallow the spaces beside them; in llama.cpp they do not."


def read_vocabulary(folder: Path, size: int, config: dict[str, Any]) -> Vocabulary:
    """size: rows of the embedding; ids without a token become unused ones. Raises Refusal."""
    settings = _optional(folder / "tokenizer_config.json")
    document = read_json(folder / "tokenizer.json", MAX_TOKENIZER_BYTES) if _has(folder, "tokenizer.json") else None
    from_model: dict[str, int] = {}
    if document is not None and is_wordpiece(document):
        added = added_in_json(document, settings)
        lexicon = read_wordpiece(document, added, size)
    elif document is not None and (not is_fallback_bpe(document) or _is_gemma4(config)):
        added = added_in_json(document, settings)
        lexicon = (read_gemma4 if is_fallback_bpe(document) else read_byte_level)(document, added, size)
    elif _has(folder, "tokenizer.model"):
        model = read_model(folder / "tokenizer.model")
        added = added_in_json(document, settings) if document else added_beside_model(folder, settings)
        lexicon = read_lexicon(model, added, size)
        from_model = dict(zip(("unk", "bos", "eos", "pad"), model.special_ids, strict=True))
    elif document is not None:
        added = added_in_json(document, settings)
        lexicon = read_fallback_bpe(document, added, size)
    else:
        raise Refusal(_why_none(folder))
    if document is None or lexicon.model == "gemma4":  # as transformers' class does; llama.cpp always does for Gemma 4
        settings = {"add_bos_token": True, **settings}
    lexicon.check_integrity()
    return _finished(folder, lexicon, added, document or {}, settings, config, from_model)


def _finished(
    folder: Path,
    lexicon: Lexicon,
    added: dict[int, AddedToken],
    document: dict[str, Any],
    settings: dict[str, Any],
    config: dict[str, Any],
    from_model: dict[str, int],
) -> Vocabulary:
    special = find_special_ids(lexicon, settings, config, from_model)
    if lexicon.model == "bert":
        return _of_encoder(lexicon, special, document)
    if lexicon.model == "gemma4" and "bos" not in special:  # llama.cpp would end the process
        raise Refusal("The tokenizer names no token that begins a text, which llama.cpp needs for Gemma 4.")
    first, last = template_ends(document)
    adds_bos = adds(settings.get("add_bos_token"), first, special.get("bos"), lexicon.tokens)
    adds_eos = adds(settings.get("add_eos_token"), last, special.get("eos"), lexicon.tokens)
    notes = lexicon.notes + add_more_ends(special, lexicon, config, _optional(folder / "generation_config.json"))
    is_phi3 = _is_phi3(lexicon, added)
    if not is_phi3 and any(token.swallows_left or token.swallows_right for token in added.values()):
        notes += (SWALLOWS,)
    return Vocabulary(
        lexicon, special, adds_bos, adds_eos, read_templates(folder, settings), notes=notes, is_phi3=is_phi3
    )


def _of_encoder(lexicon: Lexicon, special: dict[str, int], document: dict[str, Any]) -> Vocabulary:
    """llama.cpp puts the tokens "bos" and "sep" around every text; of answers, ends and templates it knows nothing."""
    ids = {text: id_ for id_, text in enumerate(lexicon.tokens)}
    around = [ids.get(text) if text else None for text in template_ends(document, has_pairs=True)]
    if None in around or "unk" not in special:
        raise Refusal("The tokenizer does not say which tokens stand around a text, which llama.cpp needs for BERT.")
    first, last = around
    assert first is not None
    assert last is not None
    return Vocabulary(lexicon, {**special, "bos": first, "cls": first, "sep": last}, True, False, {}, lexicon.notes)


def _is_phi3(lexicon: Lexicon, added: dict[int, AddedToken]) -> bool:
    """Whether exactly those tokens swallow spaces that do in llama.cpp for a model of this name."""
    special = [t for t in added.values() if t.type in (TokenType.CONTROL, TokenType.USER_DEFINED)]
    return (
        lexicon.model == "llama"
        and PHI3_KEEPING | {"</s>"} <= {token.text for token in special}
        and all(token.swallows_right is (token.text not in PHI3_KEEPING) for token in special)
        and not any(token.swallows_left for token in special)
    )


def _is_gemma4(config: dict[str, Any]) -> bool:
    return any(str(name).startswith("Gemma4") for name in config.get("architectures") or ())


def _why_none(folder: Path) -> str:
    if _has(folder, "tekken.json"):
        return "The tokenizer comes as tekken.json only. Choose a repository of the model that holds a tokenizer.json."
    if _has(folder, "vocab.json"):
        return "The tokenizer comes as vocab.json only. Choose a repository of the model that holds a tokenizer.json."
    return f"{folder} is not a complete checkpoint: tokenizer.json is missing."


def _has(folder: Path, name: str) -> bool:
    return (folder / name).exists()


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}
