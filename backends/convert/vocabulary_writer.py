"""Writes a vocabulary into the header of a GGUF file, under llama.cpp's keys."""

import gguf

from backends.convert.tokenizer import Vocabulary

GGUF_SPECIAL_NAMES = {"unk": "unknown", "sep": "seperator", "pad": "padding"}  # the format's own spelling


def add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types([int(kind) for kind in vocabulary.types])
    writer.add_token_merges(vocabulary.merges)
    for name, id_ in vocabulary.special_ids.items():
        writer.add_uint32(f"tokenizer.ggml.{GGUF_SPECIAL_NAMES.get(name, name)}_token_id", id_)
    writer.add_add_bos_token(vocabulary.adds_bos)
    writer.add_add_eos_token(vocabulary.adds_eos)
    if vocabulary.template is not None:
        writer.add_chat_template(vocabulary.template)
