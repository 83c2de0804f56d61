"""Greedy in F16: with and without guesses, alone and in a batch of eight, the same text up to a certified near-tie."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.guide import DRAFT_DIR, GUIDE_DIR
from app.jobs.convert import convert_checkpoint
from backends.drafting.drafter import Drafter, LookupDrafter, ModelDrafter
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.runner import LlamaRunner
from tests.convert import checkpoints
from tests.guide.answers import ANSWERS
from tests.llama.certificate import Rows, Text, answers, certify, forced, noise

BATCH, NUM_TOKENS, LENGTH = 8, 64, 4
KINDS = ("batch of 8", "lookup", "draft model", "draft model in a batch of 8")
CHANGING = [  # in caches that change their size before every fifth step
    pytest.param(kind, 0.2, id=f"{kind}, changing", marks=[] if "batch" in kind else [pytest.mark.real])
    for kind in KINDS
]
PARAMS = ContextParams(num_cells=4096, num_slots=BATCH + 1, batch_tokens=512, threads=1)


@dataclass(frozen=True)
class Plain:
    """A model with its answers alone, and all that others are compared with."""

    name: str
    runner: LlamaRunner
    draft_runner: LlamaRunner
    texts: list[Text]
    logits: list[Rows]
    noise: float

    @property
    def prompts(self) -> list[tuple[int, ...]]:
        return [text.prompt for text in self.texts]


@pytest.fixture(scope="module", params=["guide", "tiny"])
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plain]:
    folder = tmp_path_factory.mktemp(request.param)
    target, draft = (_tiny if request.param == "tiny" else _guide)(folder)
    native.start()
    with ExitStack() as stack:
        model, small = (stack.enter_context(NativeModel(path)) for path in (target, draft))
        context, small_context = (stack.enter_context(NativeContext(made, PARAMS)) for made in (model, small))
        runner = LlamaRunner(context, PARAMS.num_slots)
        texts = [_alone(runner, prompt) for prompt in _prompts(model, request.param)]
        logits = [forced(context, [text])[0] for text in texts]
        drafted = [forced(context, [text], 1 + LENGTH)[0] for text in texts]
        found = noise(logits, [forced(context, texts), drafted])
        draft_runner = LlamaRunner(small_context, PARAMS.num_slots)
        yield Plain(request.param, runner, draft_runner, texts, logits, found)


def _guide(folder: Path) -> tuple[Path, Path]:
    for checkpoint, name in ((GUIDE_DIR, "guide"), (DRAFT_DIR, "draft")):
        convert_checkpoint(checkpoint, folder / f"{name}.gguf", "f16", logs=folder)
    return folder / "guide.gguf", folder / "draft.gguf"


def _tiny(folder: Path) -> tuple[Path, Path]:
    """Random weights, which hardly ever prefer one token much: near-ties everywhere. It drafts for itself."""
    checkpoints.write(folder / "checkpoint", checkpoints.config(max_position_embeddings=2048))
    convert_checkpoint(folder / "checkpoint", folder / "tiny.gguf", "f16", logs=folder)
    return folder / "tiny.gguf", folder / "tiny.gguf"


def _prompts(model: NativeModel, name: str) -> list[tuple[int, ...]]:
    if name == "tiny":
        return [tuple(range(20 + 7 * n, 60 + 8 * n)) for n in range(BATCH)]
    questions = list(ANSWERS)[:: len(ANSWERS) // BATCH][:BATCH]
    return [tuple(model.vocabulary.tokenize(question, add_special=True, parse_special=False)) for question in questions]


def _alone(runner: LlamaRunner, prompt: tuple[int, ...]) -> Text:
    (sequence,) = answers(runner, [prompt], NUM_TOKENS)
    return Text(prompt, tuple(sequence.completion))


@pytest.mark.parametrize(("kind", "disturbed"), [*((kind, 0.0) for kind in KINDS), *CHANGING])
def test_certificate(plain: Plain, kind: str, disturbed: float, capsys: pytest.CaptureFixture[str]) -> None:
    size = BATCH if "batch" in kind else 1
    said = []
    for begin in range(0, BATCH, size):
        drafters: list[Drafter] = [LookupDrafter(ngram=1)] if kind == "lookup" else []
        drafters += [ModelDrafter(plain.draft_runner, "draft")] if "draft" in kind else []
        said += answers(plain.runner, plain.prompts[begin : begin + size], NUM_TOKENS, drafters, LENGTH, disturbed)
    assert kind == "batch of 8" or sum(sequence.num_drafted for sequence in said) > NUM_TOKENS
    found = [
        certify(rows, text.answer, sequence.completion, plain.noise)
        for rows, text, sequence in zip(plain.logits, plain.texts, said, strict=True)
    ]
    parted = [certificate for certificate in found if certificate.first_divergence is not None]
    with capsys.disabled():
        print(f"\n  {plain.name}, {kind}: {BATCH - len(parted)} of {BATCH} answers the same", end="")
        for certificate in parted:
            print(f"; {certificate}", end="")
    assert all(certificate.holds for certificate in found), "\n".join(map(str, found))


def test_an_answer_that_parts_without_a_near_tie_is_not_certified(plain: Plain) -> None:
    text, rows = plain.texts[0], plain.logits[0]
    at = max(range(NUM_TOKENS), key=lambda n: float(rows[n].max() - rows[n][0]))
    wrong = (*text.answer[:at], 0, *text.answer[at + 1 :])
    certificate = certify(rows, text.answer, wrong, plain.noise)
    assert certificate.first_divergence == at
    assert not certificate.holds
