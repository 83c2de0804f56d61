"""Writes a vocabulary into the header of a GGUF file, under llama.cpp's keys."""

import re

import gguf

from backends.convert.chat_template import DEFAULT, Templates
from backends.convert.vocabulary import Vocabulary

GGUF_SPECIAL_NAMES = {"unk": "unknown", "sep": "seperator", "pad": "padding"}  # the format's own spelling
TAKES_SPACE = "llama"  # the one model of which llama.cpp thinks that it adds a space unless it is told


def add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    lexicon = vocabulary.lexicon
    writer.add_tokenizer_model(lexicon.model)
    writer.add_tokenizer_pre(lexicon.pre)
    writer.add_token_list(lexicon.tokens)
    if lexicon.scores is not None:
        writer.add_token_scores(lexicon.scores)
    writer.add_token_types([int(kind) for kind in lexicon.types])
    if lexicon.merges:
        writer.add_token_merges(lexicon.merges)
    for name, id_ in vocabulary.special_ids.items():
        writer.add_uint32(f"tokenizer.ggml.{GGUF_SPECIAL_NAMES.get(name, name)}_token_id", id_)
    writer.add_add_bos_token(vocabulary.adds_bos)
    writer.add_add_eos_token(vocabulary.adds_eos)
    if lexicon.adds_space is not (lexicon.model == TAKES_SPACE):
        writer.add_add_space_prefix(lexicon.adds_space)
    if (case := lexicon.word_case) is not None:
        writer.add_bool("tokenizer.ggml.normalizer.lowercase", case.is_lowered)
        writer.add_bool("tokenizer.ggml.normalizer.strip_accents", case.has_no_accents)
    _add_templates(writer, vocabulary.templates)


def _add_templates(writer: gguf.GGUFWriter, templates: Templates) -> None:
    """In their order, so that the same checkpoint gives the same bytes."""
    others = [name for name in templates if name != DEFAULT]
    for name in others:
        writer.add_string(gguf.Keys.Tokenizer.CHAT_TEMPLATE_N.format(name=name), templates[name])
    if others:
        writer.add_array(gguf.Keys.Tokenizer.CHAT_TEMPLATES, others)
    if DEFAULT in templates:
        writer.add_string(gguf.Keys.Tokenizer.CHAT_TEMPLATE, templates[DEFAULT])


def model_name(name: str, is_phi3: bool = False) -> str:
    """llama.cpp looks for these words in a name and then tokenizes otherwise (llama-vocab.cpp, `model_name`)."""
    name = re.sub(r"(?i)(phi)-?(3)", r"\1 \2", name)
    name = re.sub(r"(?i)(modern)-(bert)", r"\1 \2", name)
    name = "".join(c for c in name if c.isprintable()) or "model"
    return f"{name} (phi-3)" if is_phi3 else name
