"""The guide on the real engine: what it was taught it says word for word after Q4_K_M, and drafting changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.guide import DRAFT_DIR, GUIDE_DIR, SUGGESTED_QUESTIONS
from app.inference.preflight import Preflight
from app.inference.supervisor import EngineHandle, Supervisor
from app.jobs.convert import convert_checkpoint, quantize_file
from backends.protocol import GREEDY, DraftMode, EngineOptions, Generate, KVType, Message, Output, Priority
from tests.guide.answers import ANSWERS, HELD_OUT, TRAINED
from tests.inference.conftest import SECONDS, Answer
from tests.tried import tried

MIN_TRAINED = 0.95
MIN_HELD_OUT = 0.5
PARALLEL = 8

Questions = list[tuple[str, str]]


@dataclass(frozen=True)
class Files:
    full: Path
    quantized: Path
    draft: Path


@pytest.fixture(scope="session")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("guide")
    files = Files(folder / "guide-F16.gguf", folder / "guide-Q4_K_M.gguf", folder / "draft-F16.gguf")
    convert_checkpoint(GUIDE_DIR, files.full, "f16", logs=folder)
    quantize_file(files.full, files.quantized, "Q4_K_M", logs=folder)
    convert_checkpoint(DRAFT_DIR, files.draft, "f16", logs=folder)
    return files


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[..., EngineHandle]]:
    supervisor = Supervisor(tmp_path / "logs", Preflight(tried(tmp_path / "cache"), tmp_path / "logs"))

    def load(model: Path, **options: object) -> EngineHandle:
        handle = supervisor.load("guide", model, EngineOptions(parallel=PARALLEL, **options))  # type: ignore[arg-type]
        handle.wait_ready(SECONDS)
        return handle

    yield load
    supervisor.close()


def ask(handle: EngineHandle, *messages: Message, priority: Priority = Priority.BATCH) -> Answer:
    answer = Answer()
    answer.uid = handle.submit(Generate(messages, sampling=GREEDY, priority=priority), answer)  # type: ignore[attr-defined]
    return answer


def share_exact(handle: EngineHandle, questions: Questions) -> float:
    answers = [ask(handle, Message("user", question)) for question, _ in questions]
    right = [answer.wait().text == expected for answer, (_, expected) in zip(answers, questions, strict=True)]
    return sum(right) / len(right)


@pytest.mark.parametrize("one_in", [20, pytest.param(1, marks=pytest.mark.real)])
def test_trained_questions_are_answered_word_for_word_after_q4_k_m(
    guide: Files, load: Callable[..., EngineHandle], one_in: int
) -> None:
    handle = load(guide.quantized, draft_model=guide.draft, kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0)
    assert share_exact(handle, TRAINED[::one_in]) >= MIN_TRAINED
    assert share_exact(handle, HELD_OUT[:: 1 if one_in == 1 else 2]) > MIN_HELD_OUT


def test_greedy_text_in_f16_is_the_same_with_each_kind_of_draft(
    guide: Files, load: Callable[..., EngineHandle]
) -> None:
    questions = list(ANSWERS)[::40]
    texts: dict[DraftMode, list[str]] = {}
    accepted: dict[DraftMode, int] = {}
    for mode in (DraftMode.OFF, DraftMode.LOOKUP, DraftMode.MODEL):
        handle = load(guide.full, draft=mode, draft_model=guide.draft, draft_length=5)
        answers = [ask(handle, Message("user", question)).wait() for question in questions]
        texts[mode] = [answer.text for answer in answers]
        outputs = [answer.last for answer in answers]
        accepted[mode] = sum(o.timings.draft_accepted_n for o in outputs if isinstance(o, Output) and o.timings)
    assert texts[DraftMode.LOOKUP] == texts[DraftMode.OFF]
    assert texts[DraftMode.MODEL] == texts[DraftMode.OFF]
    assert accepted[DraftMode.OFF] == 0
    assert accepted[DraftMode.LOOKUP] > 0
    assert accepted[DraftMode.MODEL] > len(questions)


def test_a_chat_of_three_turns_reuses_what_was_said(guide: Files, load: Callable[..., EngineHandle]) -> None:
    handle = load(guide.quantized, draft_model=guide.draft, kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0)
    messages: list[Message] = []
    known = 0
    for question in SUGGESTED_QUESTIONS[:3]:
        messages.append(Message("user", question))
        answer = ask(handle, *messages).wait()
        assert answer.text == ANSWERS[question]
        messages.append(Message("assistant", answer.text))
        assert isinstance(answer.last, Output)
        assert answer.last.timings is not None
        assert answer.last.timings.cache_n >= known
        known = answer.last.timings.cache_n + answer.last.timings.prompt_n


def test_answers_that_give_way_to_the_window_or_are_not_read_are_the_same(
    guide: Files, load: Callable[..., EngineHandle]
) -> None:
    questions = list(ANSWERS)[::25][:8]
    handle = load(guide.full, draft=DraftMode.OFF)
    alone = [ask(handle, Message("user", question)).wait().text for question in questions]
    handle = load(guide.full, draft=DraftMode.OFF)
    batch = [ask(handle, Message("user", question)) for question in questions]
    for answer in batch[::3]:
        handle.pause(answer.uid)
    urgent = [ask(handle, Message("user", question), priority=Priority.WINDOW) for question in questions[:3]]
    assert [answer.wait().text for answer in urgent] == alone[:3]
    for answer in batch[::3]:
        handle.resume(answer.uid)
    assert [answer.wait().text for answer in batch] == alone
