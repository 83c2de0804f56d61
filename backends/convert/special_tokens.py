"""Finds which tokens begin, end and pad a text, wherever a checkpoint says so. Knows llama.cpp's names for them."""

from typing import Any

from backends.child import Refusal
from backends.convert.added_tokens import NAMES
from backends.convert.vocabulary import Lexicon

# of these texts llama.cpp knows by itself that they end an answer (llama-vocab.cpp, special_eog_ids)
KNOWN_ENDS = frozenset(
    (
        *("<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>"),
        *("<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>"),
        *("<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "[e~["),
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
    )
)
NO_END = "The checkpoint does not say which token ends an answer, so answers may run on or stop early."
MORE_ENDS = ("eot", "eom")  # the names that the format has for further ones


def find_special_ids(
    lexicon: Lexicon, settings: dict[str, Any], config: dict[str, Any], from_model: dict[str, int]
) -> dict[str, int]:
    """By name in tokenizer_config.json, else by number in config.json, else as tokenizer.model has it.

    A list in config.json names no single one.
    """
    ids = {text: id_ for id_, text in enumerate(lexicon.tokens)}
    inner = config.get("text_config")
    special: dict[str, int] = {}
    for name in NAMES:
        entry = settings.get(f"{name}_token")
        content = entry.get("content") if isinstance(entry, dict) else entry
        id_ = ids.get(content) if isinstance(content, str) else None
        for table in (config, inner):
            if id_ is None and isinstance(table, dict):
                id_ = table.get(f"{name}_token_id")
        if not _is_id(id_, lexicon):
            id_ = from_model.get(name)
        if id_ is not None and _is_id(id_, lexicon):
            special[name] = id_
    return special


def add_more_ends(special: dict[str, int], lexicon: Lexicon, *sources: dict[str, Any]) -> tuple[str, ...]:
    """Puts further tokens that end an answer (generation_config.json's list) under the names that are free.

    Also the first one, when nothing else names it. Returns notes: one, when there are more than names, or none.
    """
    ends: list[Any] = []
    for source in sources:
        listed = source.get("eos_token_id")
        ends += listed[:64] if isinstance(listed, list) else [listed]
    found = dict.fromkeys(id_ for id_ in ends if _is_id(id_, lexicon))  # each once, in order
    if "eos" not in special:
        # without one llama.cpp would take token 11 for it, whatever that is
        by_text = (id_ for id_, text in enumerate(lexicon.tokens) if text in KNOWN_ENDS)
        end = next(iter(found), None)
        end = next(by_text, None) if end is None else end
        if end is None:
            return (NO_END,)
        special["eos"] = end
    unknown = [id_ for id_ in found if id_ != special["eos"] and lexicon.tokens[id_] not in KNOWN_ENDS]
    special |= dict(zip(MORE_ENDS, unknown, strict=False))
    if len(unknown) > len(MORE_ENDS):
        left_out = ", ".join(repr(lexicon.tokens[id_])[:60] for id_ in unknown[len(MORE_ENDS) :])
        return (f"The file has no place to say that {left_out} ends an answer, too.",)
    return ()


def _is_id(value: Any, lexicon: Lexicon) -> bool:
    return type(value) is int and 0 <= value < len(lexicon.tokens)


def template_ends(document: dict[str, Any], has_pairs: bool = False) -> tuple[str | None, str | None]:
    """The special tokens that the post-processor puts before and after one text, several as one text. has_pairs: those
    that BERT's own kind of it puts there count, too."""
    processor = document.get("post_processor") or {}
    steps = processor.get("processors", [processor]) if isinstance(processor, dict) else []
    for step in steps if isinstance(steps, list) else []:
        match step:
            case {"type": "TemplateProcessing", "single": list(pieces)}:
                texts = [_special(piece) for piece in pieces]
                middle = texts.index(None) if None in texts else len(texts)
                before, after = ("".join(filter(None, part)) for part in (texts[:middle], texts[middle:]))
                return before or None, after or None
            case {"type": "BertProcessing", "cls": [str(first), _], "sep": [str(last), _]} if has_pairs:
                return first, last
            case {"type": "BertProcessing" | "RobertaProcessing" as kind}:
                raise Refusal(f"The tokenizer puts tokens around a text ({kind}), which llama.cpp cannot do here.")
    return None, None


def _special(entry: Any) -> str | None:
    match entry:
        case {"SpecialToken": {"id": str(text)}}:
            return text
    return None


def adds(setting: Any, end: str | None, special_id: int | None, tokens: list[str]) -> bool:
    """tokenizer_config.json has the last word, as in transformers' own tokenizer classes."""
    if isinstance(setting, bool):
        return setting and special_id is not None
    if end is None:
        return False
    if special_id is None or tokens[special_id] != end:
        raise Refusal(f"The tokenizer adds {end!r:.80} around a text, which llama.cpp cannot do.")
    return True
