"""Which file a model is compared with."""

from dataclasses import replace
from pathlib import Path

from app.lab.against import reference_for
from app.library.entry import ModelEntry


def entry(file: str, quantization: str, parameters: int = 1000) -> ModelEntry:
    return ModelEntry(file, file, Path("/m") / file, 1, "llama", parameters, quantization, None, None, None)


Q4 = entry("Tiny-Chat-Q4_K_M.gguf", "Q4_K_M")
Q8 = entry("tiny-chat.Q8_0.gguf", "Q8_0")
F16 = entry("tiny-chat-F16.gguf", "F16")
BF16 = entry("tiny_chat_bf16.gguf", "BF16")


def test_the_best_file_of_the_same_model_is_chosen() -> None:
    assert reference_for(Q4, [Q4, Q8]) == Q8
    assert reference_for(Q4, [Q4, Q8, F16]) == F16
    assert reference_for(Q4, [Q8, F16, BF16]) == BF16
    assert reference_for(Q8, [Q4, Q8, F16]) == F16


def test_a_worse_file_another_model_or_itself_is_not() -> None:
    assert reference_for(F16, [F16, Q8, Q4]) is None
    assert reference_for(Q4, [Q4, replace(F16, parameters=2000)]) is None
    assert reference_for(Q4, [replace(F16, architecture="qwen2")]) is None
    assert reference_for(Q4, [entry("tiny-code-F16.gguf", "F16")]) is None
