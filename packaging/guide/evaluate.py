"""Measures a trained guide in torch: exact answers, later turns of a chat, and how often draft and target agree."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from data import ChatEncoder, Entry, Example
from model import Llama, LlamaShape
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Score:
    """Shares between 0 and 1, of questions answered exactly at temperature 0."""

    trained: float
    held_out: float
    later_turns: float

    def __str__(self) -> str:
        return f"trained {self.trained:.1%}  held out {self.held_out:.1%}  later turns {self.later_turns:.1%}"


def load_model(folder: Path) -> Llama:
    """Loads a checkpoint as it is published: weights rounded to F16, computed in F32."""
    raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shape = LlamaShape(
        vocab=raw["vocab_size"],
        hidden=raw["hidden_size"],
        ffn=raw["intermediate_size"],
        num_layers=raw["num_hidden_layers"],
        num_heads=raw["num_attention_heads"],
        num_kv_heads=raw["num_key_value_heads"],
        head_dim=raw["head_dim"],
        context=raw["max_position_embeddings"],
        rope_theta=raw["rope_theta"],
        norm_eps=raw["rms_norm_eps"],
    )
    model = Llama(shape)
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()})
    return model.eval()


def pad(examples: list[Example]) -> tuple[Tensor, Tensor]:
    """Returns ids and answer marks, both (batch, longest)."""
    longest = max(len(e.tokens) for e in examples)
    tokens, marks = (
        torch.zeros(len(examples), longest, dtype=torch.long),
        torch.zeros(len(examples), longest, dtype=torch.bool),
    )
    for row, example in enumerate(examples):
        tokens[row, : len(example.tokens)] = torch.tensor(example.tokens)
        marks[row, : len(example.tokens)] = torch.tensor(example.is_answer)
    return tokens, marks


@torch.no_grad()
def guesses(model: Llama, tokens: Tensor) -> Tensor:
    """The most likely token at each position after the first, (batch, length - 1)."""
    return model.logits(model(tokens[:, :-1])).argmax(-1)


def exact(model: Llama, examples: list[Example]) -> list[bool]:
    """Whether the last answer of each example comes out word for word.

    Greedy decoding follows the expected answer exactly when every token of it is the most likely one after
    the tokens before it, so one forward pass per example decides.
    """
    results: dict[int, bool] = {}
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].tokens))
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        tokens, marks = pad([_only_last_answer(examples[i]) for i in rows])
        hits = (guesses(model, tokens) == tokens[:, 1:]) | ~marks[:, 1:]
        results.update(zip(rows, hits.all(dim=1).tolist(), strict=True))
    return [results[i] for i in range(len(examples))]


def _only_last_answer(example: Example) -> Example:
    marks = example.is_answer
    end = len(marks) - marks[::-1].index(True)
    start = max((i for i in range(end) if not marks[i]), default=-1) + 1
    return Example(example.tokens, [start <= i < end for i in range(len(marks))])


def score(model: Llama, entries: list[Entry], encoder: ChatEncoder, seed: int = 7) -> Score:
    def share(examples: list[Example]) -> float:
        hits = exact(model, examples)
        return sum(hits) / len(hits)

    return Score(
        trained=share([encoder.encode([(q, e.answer)]) for e in entries for q in e.trained]),
        held_out=share([encoder.encode([(q, e.answer)]) for e in entries for q in e.held_out]),
        later_turns=share(_later_turns(entries, encoder, random.Random(seed))),
    )


def _later_turns(entries: list[Entry], encoder: ChatEncoder, rng: random.Random) -> list[Example]:
    """Trained questions as the second or third turn of a chat, each entry once."""
    examples = []
    for entry in entries:
        history = rng.choices([e for e in entries if e.topic != "long"], k=rng.choice((1, 2)))
        turns = [(rng.choice(e.trained), e.answer) for e in history]
        examples.append(encoder.encode([*turns, (rng.choice(entry.trained), entry.answer)]))
    return examples


def misses(model: Llama, entries: list[Entry], encoder: ChatEncoder, is_held_out: bool) -> list[str]:
    asked = [(q, e) for e in entries for q in (e.held_out if is_held_out else e.trained)]
    hits = exact(model, [encoder.encode([(q, e.answer)]) for q, e in asked])
    return [question for (question, _), hit in zip(asked, hits, strict=True) if not hit]


def agreement(target: Llama, draft: Llama, entries: list[Entry], encoder: ChatEncoder) -> float:
    """The share of answer tokens where the draft's first guess is the target's."""
    same = total = 0
    for entry in entries:
        tokens, marks = pad([encoder.encode([(entry.question, entry.answer)])])
        equal = guesses(target, tokens) == guesses(draft, tokens)
        same += int((equal & marks[:, 1:]).sum())
        total += int(marks.sum())
    return same / total


def evaluate(guide: Path, entries: list[Entry], is_verbose: bool) -> None:
    """Prints the figures for target and draft in `guide` and `guide/draft`."""
    encoder = ChatEncoder(Tokenizer.from_file(str(guide / "tokenizer.json")))
    target, draft = load_model(guide), load_model(guide / "draft")
    print(f"target {target.num_parameters():,} parameters: {score(target, entries, encoder)}", flush=True)
    if is_verbose:
        for is_held_out in (False, True):
            print(
                f"  missed ({'held out' if is_held_out else 'trained'}):",
                *misses(target, entries, encoder, is_held_out),
                sep="\n    ",
            )
    print(f"draft  {draft.num_parameters():,} parameters: {score(draft, entries, encoder)}")
    print(f"draft agrees with target on {agreement(target, draft, entries, encoder):.1%} of answer tokens")
    target.pretend_quantized(True)
    print(f"target, 4-bit in torch: {score(target, entries, encoder)}")
