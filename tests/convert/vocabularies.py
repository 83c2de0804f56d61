"""Small tokenizers of every structure that checkpoints ship, and GGUF files that hold nothing but a vocabulary."""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers.convert_slow_tokenizer import generate_merges

from backends.convert.gguf_writer import VocabularyWriter
from backends.convert.nasty_texts import NASTY_TEXTS
from backends.convert.splitters import SPLITTERS, Step
from backends.convert.tokenizer import read_vocabulary
from backends.convert.vocabulary import Vocabulary
from backends.convert.vocabulary_writer import add_vocabulary, model_name
from tests.convert.checkpoints import SPECIAL, TEXTS, write_json

SIZE = 1300
STEPS = {name: steps for steps, s in SPLITTERS.items() for name in (s.plain, s.shortcut) if name}
SPACE = "\u2581"
# tokens of their own in Gemma
RUNS = [*("\n" * count for count in range(1, 32)), *(SPACE * count for count in range(2, 9))]
MORE_TEXTS = ["camelCase ALLCAPS \u00c9COLE stra\u00dfe 1234567 \u4e2d\u6587\u5b57 <tags/> a--b  (x)\n\n\n", *TEXTS]


def byte_level(name: str) -> Tokenizer:
    """A byte-level BPE whose words llama.cpp splits under this name."""
    made = Tokenizer(models.BPE(ignore_merges=SPLITTERS[STEPS[name]].shortcut == name))
    steps = STEPS[name]
    has_words = steps[-1] == ("words", "")
    first = [_step(step) for step in (steps[:-1] if has_words else steps)]
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=has_words)
    made.pre_tokenizer = pre_tokenizers.Sequence([*first, last]) if first else last
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=1200, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([*MORE_TEXTS, *NASTY_TEXTS * 4], trainer)  # merges over every border that there is
    return made


def _step(step: Step) -> pre_tokenizers.PreTokenizer:
    match step:
        case "regex", pattern:
            return pre_tokenizers.Split(Regex(pattern), behavior="isolated")
        case "digits", "threes":
            return pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), behavior="isolated")
    return pre_tokenizers.Digits(individual_digits=True)


@cache
def sentencepiece(adds_space: bool = True, kind: str = "bpe", rule: str = "identity") -> bytes:
    """A tokenizer.model as Llama 2 and Gemma ship it."""
    made = io.BytesIO()
    SentencePieceTrainer.Train(
        sentence_iterator=iter(line for text in MORE_TEXTS * 4 for line in text.split("\n")),
        model_writer=made,
        model_type=kind,
        vocab_size=540,
        byte_fallback=True,
        character_coverage=0.98,
        add_dummy_prefix=adds_space,
        remove_extra_whitespaces=False,
        normalization_rule_name=rule,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        user_defined_symbols=["<mark>"] if adds_space else ["<mark>", *RUNS],
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    return made.getvalue()


def fallback_bpe(style: str) -> Tokenizer:
    """The same as tokenizer.json. style: "prepend" as Llama 2, "first" as later ones, "split" as Gemma."""
    processor = SentencePieceProcessor(model_proto=sentencepiece(style != "split"))
    pieces = [(processor.IdToPiece(i), processor.GetScore(i)) for i in range(processor.GetPieceSize())]
    vocab = {piece: i for i, (piece, _) in enumerate(pieces)}
    merges = generate_merges(vocab, dict(pieces))
    made = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replace = normalizers.Replace(" ", SPACE)
    if style == "prepend":
        made.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), replace])
    elif style == "split":
        made.normalizer = replace
        made.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    else:
        made.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=style, split=False)
    made.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    made.add_special_tokens([AddedToken(t, normalized=False) for t in ("<unk>", "<s>", "</s>", *SPECIAL)])
    made.add_tokens([AddedToken(t, normalized=False) for t in ("<mark>", *(RUNS if style == "split" else ()))])
    return made


def write(folder: Path, made: Tokenizer | bytes, **settings: Any) -> Path:
    """The tokenizer's part of a checkpoint folder. bytes: a tokenizer.model."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(made, bytes):
        (folder / "tokenizer.model").write_bytes(made)
    else:
        made.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", settings)
    return folder


def change(folder: Path, **changes: Any) -> None:
    path = folder / "tokenizer.json"
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **changes})


def to_gguf(folder: Path, size: int = SIZE, architecture: str = "LlamaForCausalLM") -> tuple[Path, Vocabulary]:
    """A GGUF file of the vocabulary alone, which llama.cpp loads when asked for no more."""
    vocabulary = read_vocabulary(folder, size, {"architectures": [architecture]})
    target = folder / "vocabulary.gguf"
    writer = VocabularyWriter(target, "llama")
    writer.add_name(model_name(folder.name, vocabulary.is_phi3))
    add_vocabulary(writer, vocabulary)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return target, vocabulary
