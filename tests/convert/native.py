"""What tests ask of llama.cpp, in a child process: `run_in_child("tests.convert.native:…")`."""

import ctypes
import threading
from pathlib import Path

import llama_cpp as lib
import numpy as np

from backends.child import Refusal, Report
from backends.convert.reference_tokenizer import read_reference
from backends.llama import native, verify
from backends.llama.native import NativeModel
from backends.llama.verify import compare_tokens, find_fault


def tokens(_report: Report, path: Path, texts: list[str], add_special: bool) -> list[tuple[list[int], bytes]]:
    """For each text its tokens (special ones parsed) and what these decode to."""
    model = _load(path, vocab_only=True)
    vocab = lib.llama_model_get_vocab(model)
    return [(ids := _tokenize(vocab, text, add_special), _text(vocab, ids)) for text in texts]


def logits(_report: Report, path: Path, ids: list[int]) -> np.ndarray:
    """(tokens, vocabulary) of one causal pass with F32 keys and values."""
    return _logits(_load(path), ids)


def all_logits(_report: Report, paths: list[Path], ids: list[int]) -> list[np.ndarray]:
    """The same of several models, in float32. A model that llama.cpp kills the process with ends them all."""
    return [_logits(_load(path), ids).astype(np.float32) for path in paths]


def _logits(model: ctypes.c_void_p, ids: list[int]) -> np.ndarray:
    parameters = lib.llama_context_default_params()
    parameters.n_ctx, parameters.n_batch, parameters.n_threads = 256, 256, 2
    parameters.type_k = parameters.type_v = 0
    parameters.flash_attn_type = 0
    context = lib.llama_init_from_model(model, parameters)
    batch = lib.llama_batch_init(len(ids), 0, 1)
    for i, token in enumerate(ids):
        batch.token[i], batch.pos[i], batch.logits[i] = token, i, 1
        batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
    batch.n_tokens = len(ids)
    assert lib.llama_decode(context, batch) == 0
    num_vocab = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    rows = np.array([lib.llama_get_logits_ith(context, i)[:num_vocab] for i in range(len(ids))])
    lib.llama_batch_free(batch)
    lib.llama_free(context)
    lib.llama_model_free(model)
    return rows


def _load(path: Path, vocab_only: bool = False) -> ctypes.c_void_p:
    parameters = lib.llama_model_default_params()
    parameters.vocab_only = vocab_only
    model = lib.llama_model_load_from_file(str(path).encode(), parameters)
    assert model, "llama.cpp could not load the file"
    return model


def _tokenize(vocab: ctypes.c_void_p, text: str, add_special: bool) -> list[int]:
    raw = text.encode()
    out = (ctypes.c_int32 * (len(raw) + 8))()
    count = lib.llama_tokenize(vocab, raw, len(raw), out, len(out), add_special, True)
    assert count >= 0
    return list(out[:count])


def _text(vocab: ctypes.c_void_p, ids: list[int]) -> bytes:
    pieces = []
    for token in ids:
        buffer = ctypes.create_string_buffer(256)
        count = lib.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, True)
        pieces.append(buffer.raw[:count])
    return b"".join(pieces)


def differences(_report: Report, folders: list[Path]) -> list[str]:
    """For each folder with a tokenizer and vocabulary.gguf: "" or the sentence of the refusal."""
    native.start()
    found = []
    for folder in folders:
        try:
            verification, _ = compare_tokens(folder, folder / "vocabulary.gguf")
            found.append(" ".join(verification.notes) if verification.num_texts > 200 else "hardly any texts")
        except Refusal as refusal:
            found.append(str(refusal))
    return found


def faults(_report: Report, folders: list[Path], texts: list[str]) -> list[tuple[int, list[str]]]:
    """For each folder: how many of the texts llama.cpp can get right at all, and what is wrong with some of them."""
    native.start()
    return [_faults(folder, texts) for folder in folders]


def _faults(folder: Path, texts: list[str]) -> tuple[int, list[str]]:
    reference = read_reference(folder)
    comparable = [text for text in texts if reference.is_comparable(text)]
    with NativeModel(folder / "vocabulary.gguf", vocab_only=True) as model:
        found = [fault for text in comparable if (fault := find_fault(text, reference, model))]
    return len(comparable), found


def hanging_trial(report: Report, source: Path, part: Path, target: Path) -> None:
    """A trial that waits for native code for longer than it may."""
    verify.MAX_SECONDS = 0.2
    verify._opened = lambda *_: threading.Event().wait()
    verify.verify(report, source, part, target)


def vectors(_report: Report, path: Path, texts: list[str]) -> np.ndarray:
    """[texts, dimensions], each of length 1."""
    native.start()
    with NativeModel(path) as model:
        made = [verify._vector(model, model.vocabulary.tokenize(text, True, True)) for text in texts]
    return np.array([vector / np.linalg.norm(vector) for vector in made])
