"""BERT checkpoints: what transformers saved, converted and run by llama.cpp, gives transformers' vectors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from app.jobs.child import run_in_child
from app.jobs.convert import convert_checkpoint
from backends.child import Refusal
from backends.convert.converter import convert
from backends.convert.sentence_vectors import read_pooling
from backends.convert.tokenizer import read_vocabulary
from backends.convert.vocabulary import TokenType
from backends.formats.gguf import read_header
from backends.protocol import Pooling
from tests.convert.checkpoints import write_json

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("the", "cat", "sat", "mat", "on", "a", ".", ",", "##s", "##ting", "##e", "caf", "s", "!", "grusse", "##n")
VOCAB_SIZE = 64
TEXTS = ("The cats sat on a mat.", "CAFÉ, grüße!", "a", "unheard of", "[MASK] cat", "the " * 40)
DENSE = {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def tokenizer(lowercase: bool = True) -> Tokenizer:
    vocab = {text: id_ for id_, text in enumerate((*SPECIAL, *WORDS))}
    made = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    around = [(text, vocab[text]) for text in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=around)
    made.add_special_tokens(list(SPECIAL))
    return made


def write(folder: Path, pooling: str | None = "pooling_mode_mean_tokens", **settings: Any) -> Path:
    """A tiny random BERT as transformers saves it, with the modules of sentence-transformers."""
    import torch
    from transformers import BertConfig, BertModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = BertModel(BertConfig(vocab_size=VOCAB_SIZE, max_position_embeddings=128, **{**sizes, **settings})).eval()
    for name, weight in model.named_parameters():
        torch.nn.init.normal_(weight, 1.0 if name.endswith("LayerNorm.weight") else 0.0, 0.3)
    model.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", **roles})
    if pooling:
        (folder / "modules.json").write_text(json.dumps(MODULES), encoding="utf-8")
        (folder / "1_Pooling").mkdir(exist_ok=True)
        write_json(folder / "1_Pooling" / "config.json", {pooling: True, "pooling_mode_max_tokens": False})
    return folder


def wanted(folder: Path, pooling: Pooling) -> np.ndarray:
    """[texts, dimensions], each of length 1."""
    import torch
    from transformers import BertModel

    model, read = BertModel.from_pretrained(folder).eval(), Tokenizer.from_file(str(folder / "tokenizer.json"))
    vectors = []
    for text in TEXTS:
        with torch.no_grad():
            states = model(torch.tensor([read.encode(text).ids])).last_hidden_state[0]
        vectors.append({Pooling.MEAN: states.mean(0), Pooling.CLS: states[0], Pooling.LAST: states[-1]}[pooling])
    return torch.nn.functional.normalize(torch.stack(vectors)).numpy()


def test_it_is_tried_out_and_its_vectors_are_those_of_transformers(tmp_path: Path) -> None:
    for mode, pooling in (("mean_tokens", Pooling.MEAN), ("cls_token", Pooling.CLS), ("lasttoken", Pooling.LAST)):
        folder = write(tmp_path / mode, f"pooling_mode_{mode}")
        file = tmp_path / f"{mode}.gguf"
        assert convert_checkpoint(folder, file, "f32", logs=tmp_path).verified_texts > 50
        got = run_in_child("tests.convert.native:vectors", log_path=tmp_path / "log", path=file, texts=TEXTS)
        assert (got * wanted(folder, pooling)).sum(1) == pytest.approx(1.0, abs=1e-4)  # its GELU is computed by tanh


def test_old_names_of_its_tensors_give_the_same_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "new")
    convert(lambda _: None, folder, tmp_path / "new.gguf", "f32")
    tensors = {}
    for name, values in load_file(folder / "model.safetensors").items():
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        tensors[f"bert.{old}"] = values
    tensors["bert.embeddings.position_ids"] = np.arange(128, dtype=np.int64)[None]
    tensors["cls.predictions.bias"] = np.zeros(VOCAB_SIZE, np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    convert(lambda _: None, folder, tmp_path / "old.gguf", "f32")
    assert (tmp_path / "old.gguf").read_bytes() == (tmp_path / "new.gguf").read_bytes()


def test_the_file_says_how_its_texts_are_read_and_pooled(tmp_path: Path) -> None:
    convert(lambda _: None, write(tmp_path / "bert", "pooling_mode_cls_token"), tmp_path / "bert.gguf", "f16")
    said = read_header(tmp_path / "bert.gguf").metadata
    assert said["bert.pooling_type"] == 2
    assert said["bert.attention.causal"] is False
    assert said["tokenizer.ggml.model"] == "bert"
    assert (said["tokenizer.ggml.bos_token_id"], said["tokenizer.ggml.seperator_token_id"]) == (2, 3)
    assert said["tokenizer.ggml.normalizer.lowercase"] is True
    assert "bert.classifier" not in said


def test_a_word_piece_begins_a_word_or_goes_on(tmp_path: Path) -> None:
    tokenizer(lowercase=False).save(str(tmp_path / "tokenizer.json"))
    write_json(tmp_path / "tokenizer_config.json", {"unk_token": "[UNK]"})
    lexicon = read_vocabulary(tmp_path, VOCAB_SIZE, {}).lexicon
    assert lexicon.tokens[2:8] == ["[CLS]", "[SEP]", "[MASK]", "▁the", "▁cat", "▁sat"]
    assert "ting" in lexicon.tokens
    assert lexicon.types[:6] == [TokenType.CONTROL] * 5 + [TokenType.NORMAL]
    assert lexicon.types[-1] is TokenType.UNUSED
    assert lexicon.word_case is not None
    assert not lexicon.word_case.is_lowered


@pytest.mark.parametrize(
    ("modules", "pooling", "sentence"),
    [
        ([*MODULES, DENSE], {"pooling_mode_mean_tokens": True}, "a step that llama.cpp does not have .*Dense"),
        (MODULES, {"pooling_mode_max_tokens": True}, "pooled in a way"),
        (MODULES, {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}, "pooled in a way"),
        ([{"type": "x.Pooling", "path": "../.."}], {}, "outside of the checkpoint"),
        ("modules", {}, "a step that llama.cpp does not have"),
    ],
)
def test_vectors_that_would_be_others_are_refused(modules: Any, pooling: Any, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    write_json(tmp_path / "1_Pooling" / "config.json", pooling)
    with pytest.raises(Refusal, match=sentence):
        read_pooling(tmp_path)


def test_newer_files_name_the_pooling_in_a_word(tmp_path: Path) -> None:
    assert read_pooling(tmp_path) is None
    (tmp_path / "modules.json").write_text(json.dumps(MODULES))
    (tmp_path / "1_Pooling").mkdir()
    write_json(tmp_path / "1_Pooling" / "config.json", {"pooling_mode": "lasttoken"})
    assert read_pooling(tmp_path) is Pooling.LAST


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"hidden_act": "relu"}, "The activation 'relu'"),
        ({"is_decoder": True}, "is_decoder"),
    ],
)
def test_settings_that_llama_cpp_would_ignore_are_refused(change: Any, sentence: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "bert")
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**config, **change})
    with pytest.raises(Refusal, match=sentence):
        convert(lambda _: None, folder, tmp_path / "bert.gguf", "f32")
