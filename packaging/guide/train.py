"""Trains the guide, the language model that Slipstream brings along, and its draft. See README.md beside this file.

python packaging/guide/train.py              trains tokenizer, target and draft, writes app/guide/
python packaging/guide/train.py --evaluate   prints how many questions the written checkpoints answer exactly
"""

import argparse
import json
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from data import ChatEncoder, Conversations, Entry, load_entries
from evaluate import evaluate, load_model, pad, score
from model import Llama, LlamaShape
from safetensors.torch import save_file
from tokenizer import END, PAD, train_tokenizer, write_tokenizer
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

GUIDE = Path(__file__).resolve().parents[2] / "app" / "guide"
VOCAB = 3072
TARGET = LlamaShape(vocab=VOCAB, hidden=256, ffn=1024, num_layers=6, num_heads=4, num_kv_heads=2)
DRAFT = LlamaShape(vocab=VOCAB, hidden=256, ffn=256, num_layers=2, num_heads=4, num_kv_heads=2)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to train. `tokens` is the padded size of one batch."""

    steps: int
    rate: float
    tokens: int = 2048
    longest_chat: int = 1024
    warm_up: int = 50
    # from this share of the steps on, every other one sees 4-bit weights
    quantized_from: float = 0.5
    seed: int = 2026


def learning_rate(plan: Plan, step: int) -> float:
    """Linear warm-up, then a half cosine down to 2 % of the peak."""
    if step < plan.warm_up:
        return plan.rate * (step + 1) / plan.warm_up
    progress = (step - plan.warm_up) / max(1, plan.steps - plan.warm_up)
    return plan.rate * (0.02 + 0.49 * (1 + math.cos(math.pi * progress)))


def optimizers(model: Llama, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the embedding and the norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def loss_of(model: Llama, tokens: Tensor, marks: Tensor) -> Tensor:
    """Mean cross-entropy of the assistant's tokens; nothing else is learned."""
    hidden = model(tokens[:, :-1])[marks[:, 1:]]
    return functional.cross_entropy(model.logits(hidden), tokens[:, 1:][marks[:, 1:]])


def train(shape: LlamaShape, plan: Plan, entries: list[Entry], encoder: ChatEncoder, checkpoint: Path) -> Llama:
    torch.manual_seed(plan.seed)
    model = Llama(shape)
    optims = optimizers(model, plan.rate)
    batches = Conversations(entries, encoder, plan.seed, plan.longest_chat).batches(plan.tokens)
    started, average = time.monotonic(), 0.0
    for step in range(plan.steps):
        model.pretend_quantized(step >= plan.quantized_from * plan.steps and step % 2 == 1)
        loss = _step(model, optims, learning_rate(plan, step), *pad(next(batches)))
        average = loss if step == 0 else 0.95 * average + 0.05 * loss
        if step % 20 == 0:
            print(f"step {step:5d}/{plan.steps}  loss {average:.4f}  {time.monotonic() - started:6.0f} s", flush=True)
        if step % 100 == 99:
            torch.save(model.state_dict(), checkpoint)
    model.pretend_quantized(False)
    return model.eval()


def _step(model: Llama, optims: list[torch.optim.Optimizer], rate: float, tokens: Tensor, marks: Tensor) -> float:
    loss = loss_of(model, tokens, marks)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optim in optims:
        for group in optim.param_groups:
            group["lr"] = rate
        optim.step()
        optim.zero_grad(set_to_none=True)
    return float(loss.detach())


def write(model: Llama, tokenizer: Tokenizer, folder: Path) -> None:
    """Writes a checkpoint as it would lie on the Hub, weights in F16."""
    folder.mkdir(parents=True, exist_ok=True)
    eos, pad_id = tokenizer.encode(END).ids[0], tokenizer.encode(PAD).ids[0]
    weights = {name: tensor.detach().to(torch.float16).contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    generation = {"eos_token_id": eos, "pad_token_id": pad_id, "do_sample": False}
    _write_json(folder / "config.json", model.shape.config(eos, pad_id))
    _write_json(folder / "generation_config.json", generation)
    write_tokenizer(tokenizer, folder, model.shape.context)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=GUIDE, help="folder of the target; the draft goes to OUT/draft")
    parser.add_argument("--only", choices=("target", "draft"), help="train one of the two")
    parser.add_argument("--target-steps", type=int, default=640)
    parser.add_argument("--draft-steps", type=int, default=600)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--evaluate", action="store_true", help="train nothing, measure what lies in OUT")
    parser.add_argument("--verbose", action="store_true", help="with --evaluate: list the missed questions")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    entries = load_entries()
    if options.evaluate:
        evaluate(options.out, entries, options.verbose)
        return
    tokenizer = train_tokenizer(entries, VOCAB)
    if options.only != "draft":
        _make("target", TARGET, Plan(options.target_steps, options.rate), entries, tokenizer, options.out)
    if options.only != "target":
        _make("draft", DRAFT, Plan(options.draft_steps, options.rate), entries, tokenizer, options.out / "draft")


def _make(name: str, shape: LlamaShape, plan: Plan, entries: list[Entry], tokenizer: Tokenizer, folder: Path) -> None:
    encoder = ChatEncoder(tokenizer)
    write(train(shape, plan, entries, encoder, Path(tempfile.gettempdir()) / f"guide-{name}.pt"), tokenizer, folder)
    print(f"{name}: {score(load_model(folder), entries, encoder)}", flush=True)


if __name__ == "__main__":
    main()
