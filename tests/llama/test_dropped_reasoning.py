"""Twenty turns of a chat whose template drops the reasoning of earlier answers: the head is never read again."""

import re
from pathlib import Path

import pytest

from app.jobs.convert import convert_checkpoint
from backends.protocol import CacheMiss, Generate, Grammar, GrammarKind, Message, SamplingParams
from tests.convert import checkpoints
from tests.inference.conftest import Answer
from tests.llama.conftest import Load
from tests.llama.test_engine import timings

NUM_TURNS = 20
TEMPLATE = (
    "{%- for message in messages %}"
    "{%- set content = message.content.split('</think>')[-1] if message.role == 'assistant' else message.content %}"
    "{{ '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}"
)
# random weights never reason by themselves
REASONED = Grammar(GrammarKind.REGEX, "<think>[a-z ]{20,40}</think>[A-Z]{8,12}")


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forgetful")
    checkpoints.write(folder / "checkpoint", checkpoints.config(max_position_embeddings=4096))
    checkpoints.change_json(folder / "checkpoint" / "tokenizer_config.json", chat_template=TEMPLATE)
    convert_checkpoint(folder / "checkpoint", folder / "forgetful.gguf", "f32", logs=folder)
    return folder / "forgetful.gguf"


@pytest.mark.parametrize("parallel", [1, 4])
def test_each_turn_reads_only_the_last_answer_and_the_new_question(load: Load, forgetful: Path, parallel: int) -> None:
    handle = load(forgetful, context=4096, parallel=parallel)
    messages: list[Message] = []
    head = 0
    for turn in range(NUM_TURNS):
        messages.append(Message("user", f"Question {turn}: and why is that so?"))
        answer = Answer()
        sampling = SamplingParams(temperature=1.0, seed=turn)
        handle.submit(Generate(tuple(messages), grammar=REASONED, sampling=sampling, max_tokens=200), answer)
        account = timings(answer)
        assert re.fullmatch(REASONED.text, answer.text)
        if turn:
            assert account.cache_n >= head, "the last prompt, up to the reasoning that followed it"
            assert account.cache_miss is CacheMiss.REASONING_DROPPED
            assert account.cache_miss_text == f"the template dropped the earlier reasoning at token {account.cache_n}"
            assert account.prompt_n < 80, "the answer without its reasoning, and the question"
        head = account.prompt_n + account.cache_n
        messages.append(Message("assistant", answer.text))
    assert head > 800
