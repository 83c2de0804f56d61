"""A sliding window, a hybrid, a recurrent model: what each says alone it says in company, and after going back."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from app.inference.supervisor import EngineHandle, Supervisor
from app.jobs.child import run_in_child
from backends.protocol import CacheMiss, DraftMode, EngineOptions, SamplingParams
from tests.inference.conftest import SECONDS
from tests.llama import tiny_models
from tests.llama.conftest import Load
from tests.llama.lives import Lived
from tests.llama.test_engine import EXACT, start, timings

WRITERS: dict[str, Callable[[Path], Path]] = {
    "sliding": tiny_models.write_sliding,
    "hybrid": tiny_models.write_hybrid,
    "recurrent": tiny_models.write_recurrent,
}
PLAIN = {"draft": DraftMode.OFF, **EXACT}
NUM_LIVES = 25
PROMPTS = [(*range(20, 50 + 17 * n), *range(300 + n, 340 + 2 * n)) for n in range(4)]
LETTERS = {letter: 3 + ord(letter) - ord("!") for letter in "abcd"}  # tokens of single bytes follow three special ones
ONLY_LETTERS = SamplingParams(temperature=0, logit_bias=tuple((token, 100.0) for token in LETTERS.values()))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("kinds")
    return {kind: write(folder / f"{kind}.gguf") for kind, write in WRITERS.items()}


@pytest.fixture(params=WRITERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Fresh:
    """What an engine says that takes nothing from what it has seen: it reads every prompt anew, for its logprobs."""

    def __init__(self, supervisor: Supervisor, models: Iterable[Path]):
        options = EngineOptions(parallel=1, **PLAIN)  # type: ignore[arg-type]
        self._handles = {model: supervisor.load(model.stem, model, options) for model in models}
        for handle in self._handles.values():
            handle.wait_ready(SECONDS)
        self._said: dict[object, str] = {}

    def __call__(self, model: Path, prompt: tuple[int, ...], **fields: object) -> str:
        key = model, prompt, tuple(sorted(fields.items()))
        if key not in self._said:
            answer = start(self._handles[model], prompt, prompt_logprobs=0, **fields)
            assert timings(answer).cache_n == 0
            self._said[key] = answer.text
        return self._said[key]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Iterator[Fresh]:
    supervisor = Supervisor(tmp_path_factory.mktemp("fresh"))
    yield Fresh(supervisor, models.values())
    supervisor.close()


def test_a_batch_changes_no_text(load: Load, fresh: Fresh, models: dict[str, Path], kind: str) -> None:
    expected = [fresh(models[kind], prompt) for prompt in PROMPTS]
    assert len(set(expected)) == len(expected)
    handle = load(models[kind], **PLAIN)
    answers = [start(handle, prompt) for prompt in PROMPTS]
    assert [answer.wait().text for answer in answers] == expected


@pytest.mark.parametrize(
    ("kind", "reused"), [("sliding", 500), ("hybrid", 256), ("recurrent", 256)], ids=lambda value: str(value)
)
def test_an_edited_prompt_goes_on_from_where_it_can(
    load: Load, fresh: Fresh, models: dict[str, Path], kind: str, reused: int
) -> None:
    handle = load(models[kind], **PLAIN)
    prompt = tuple(20 + 7 * n % 500 for n in range(600))
    start(handle, prompt).wait()
    edited = (*prompt[:500], 9, *prompt[501:590])
    answer = start(handle, edited).wait()
    account = timings(answer)
    assert account.cache_n == reused
    assert account.cache_miss is (CacheMiss.DIFFERENCE if reused == 500 else CacheMiss.NO_REWIND)
    assert answer.text == fresh(models[kind], edited)


def test_the_same_prompt_again_reads_a_handful_of_tokens(load: Load, models: dict[str, Path], kind: str) -> None:
    handle = load(models[kind], **PLAIN)
    first = start(handle, PROMPTS[0]).wait()
    again = start(handle, PROMPTS[0]).wait()
    assert timings(again).prompt_n <= 8
    assert again.text == first.text


@pytest.mark.parametrize("kind", ["sliding", "hybrid"])
def test_guesses_change_no_text(load: Load, models: dict[str, Path], kind: str) -> None:
    plain = load(models[kind], **PLAIN)
    expected = [start(plain, prompt, sampling=ONLY_LETTERS).wait().text for prompt in PROMPTS]
    handle = load(models[kind], name="guessing", draft=DraftMode.LOOKUP, draft_length=4, **EXACT)
    one_by_one = [start(handle, prompt, sampling=ONLY_LETTERS).wait() for prompt in PROMPTS]
    together = [start(handle, (*prompt[:-1], 8, prompt[-1]), sampling=ONLY_LETTERS) for prompt in PROMPTS]
    assert [answer.text for answer in one_by_one] == expected
    for answer, prompt in zip(together, PROMPTS, strict=True):
        longer = (*prompt[:-1], 8, prompt[-1])
        assert answer.wait().text == start(plain, longer, sampling=ONLY_LETTERS).wait().text
    accounts = [timings(answer) for answer in (*one_by_one, *together)]
    assert 0 < sum(account.draft_accepted_n for account in accounts) < sum(account.draft_n for account in accounts)


def test_a_model_whose_states_cannot_be_taken_back_makes_no_guesses(load: Load, models: dict[str, Path]) -> None:
    ready = load(models["recurrent"], draft=DraftMode.LOOKUP).snapshot.ready
    assert ready is not None
    assert ready.draft == "off"


def test_a_window_from_ram_is_continued_but_never_cut(load: Load, fresh: Fresh, models: dict[str, Path]) -> None:
    """llama.cpp saves no cell that the window has passed: cut back, the model would not see what it ought to."""
    handle = load(models["sliding"], context=512, parallel=1, **PLAIN)
    prompt, other = tuple(range(20, 320)), tuple(range(330, 560))
    start(handle, prompt, max_tokens=1).wait()
    start(handle, other).wait()
    assert timings(start(handle, (*prompt, 7), max_tokens=1)).cache_ram_n == len(prompt)
    cut = (*prompt[:200], 9, 9)
    answer = start(handle, cut).wait()
    assert timings(answer).cache_n == 0
    assert answer.text == fresh(models["sliding"], cut)


def test_an_idle_window_keeps_its_past_while_others_need_cells(
    load: Load, fresh: Fresh, models: dict[str, Path]
) -> None:
    """llama.cpp would give the cells that the window has passed to the third prompt, before it takes free ones."""
    handle = load(models["sliding"], context=512, parallel=1, **PLAIN)
    for prompt in (range(20, 120), range(130, 230), range(240, 540)):
        start(handle, tuple(prompt), max_tokens=8).wait()
    edited = (*range(130, 180), 9, 9)
    answer = start(handle, edited).wait()
    assert timings(answer).cache_resident_n == 50
    assert answer.text == fresh(models["sliding"], edited)


def test_in_random_lives_all_say_what_they_say_alone(models: dict[str, Path], kind: str, tmp_path: Path) -> None:
    lived: Lived = run_in_child(
        "tests.llama.lives:live", log_path=tmp_path / "log", path=models[kind], num_lives=NUM_LIVES
    )
    assert lived.wrong == []
    events = ["batched", "reused", "from ram", "unread", "resized"]
    events += [] if kind == "recurrent" else ["full", "accepted", "rejected", "guessed side by side"]
    assert all(lived.counts[event] for event in events), lived.counts


class Chat:
    """A conversation whose template says the end of the last answer otherwise in the next turn."""

    def __init__(self, handle: EngineHandle):
        self._handle = handle
        self.said = tuple(20 + 11 * n % 500 for n in range(300))
        self.prompt: tuple[int, ...] = ()

    def turn(self, number: int, opening: tuple[int, ...], num_kept: int) -> tuple[int, str]:
        """Tokens of the prompt that were read, and the answer, of which the history keeps so many tokens."""
        user = tuple(20 + (number * 31 + 7 * n) % 500 for n in range(12))
        self.prompt = (*self.said, *user, 1, 600, *opening)
        answer = start(self._handle, self.prompt, max_tokens=24, sampling=ONLY_LETTERS).wait()
        kept = [LETTERS[letter] for letter in answer.text][:num_kept]
        self.said = (*self.said, *user, 1, 600, *kept, 601, 2)
        return timings(answer).prompt_n, answer.text


@pytest.mark.parametrize("kind", ["hybrid", "recurrent"])
def test_in_a_long_chat_whose_history_changes_only_the_last_turn_is_read(
    load: Load, fresh: Fresh, models: dict[str, Path], kind: str
) -> None:
    chat = Chat(load(models[kind], **PLAIN))
    num_read = []
    for number in range(20):
        is_thinking = number % 3 == 0  # its opening is not in the history: they part before the prompt's end
        read, text = chat.turn(number, (602, 603) if is_thinking else (), num_kept=4 * (number % 6))
        num_read.append(read)
        if number in (10, 19):
            assert text == fresh(models[kind], chat.prompt, max_tokens=24, sampling=ONLY_LETTERS)
    longest_turn = 12 + 24 + 6
    assert num_read[0] == 300 + 12 + 4
    assert max(num_read[1:]) <= longest_turn + 8, num_read
    assert len(chat.prompt) > 700
