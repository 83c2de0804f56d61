"""In every real template people's text stays text: the control tokens are those that the template writes anyway."""

import random
import re
from pathlib import Path

import pytest

from backends.llama.chat_jobs import Template
from backends.llama.markers import Marker, Markers
from backends.llama.rendered import Rendered
from backends.llama.template import ChatTemplate
from backends.llama.template_ends import find_ends
from backends.protocol import Message
from backends.sandbox.job import Refused
from backends.sandbox.sandbox import Sandbox
from tests.real import things

pytestmark = pytest.mark.real
NUM_CHATS = 12
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
WRITTEN = re.compile(r"<[|｜]?[^<>\s]{1,40}>|\[/?[A-Z_]{2,24}\]|\]~?[a-z!]\w*\[|\[e~\[")
# what templates take out, or change: markers must not arise by it
CHANGED = ["/no_think", "/think", "/reflect", "\n", "  ", "\t", "'", "&lt;"]
FIELDS = ("reasoning", "reasoning_content", "thinking")
PLAIN = ["Hello there", "wörld 日本", "two words and more"]


def markers_of(source: str, rendered: str) -> Markers:
    """Every text that looks like a marker is one."""
    found = sorted({*WRITTEN.findall(source), *WRITTEN.findall(rendered), *TOKENS.values(), "<|im_end|>"})
    return Markers(Marker(token, text, is_control=True) for token, text in enumerate(found))


def test_people_write_no_marker_in_any_template() -> None:
    paths = things.templates()
    assert len(paths) == 70
    assert [fault for path in paths for fault in faults(path)] == []


def test_no_template_is_thought_to_end_an_answer_within_it() -> None:
    """By what their models are trained to write: thoughts, what the template puts behind them, and the answer."""
    faults, num_with_thoughts = [], 0
    for path in things.templates():
        source = path.read_text("utf-8")
        template = ChatTemplate(source, TOKENS)
        with Sandbox() as sandbox:
            template.probe(sandbox)
            found = sorted({*WRITTEN.findall(source), *TOKENS.values()})
            markers = Markers(Marker(token, text, is_control=True) for token, text in enumerate(found))
            ends = {found[token] for token in find_ends(template, sandbox, markers).tokens}
        between = text_behind_thoughts(source)
        num_with_thoughts += between is not None
        faults += [f"{path.stem}: {end}" for end in ends if end in (between or "")]
    assert num_with_thoughts >= 20
    assert faults == []


def text_behind_thoughts(source: str) -> str | None:
    answer = {"role": "assistant", "content": "ANSWER", **dict.fromkeys(FIELDS, "THOUGHTS")}
    try:
        text = Template(source, TOKENS).unpack().write([{"role": "user", "content": "Hi"}, answer], False)
    except Refused:
        return None
    between, _, _ = text.partition("THOUGHTS")[2].rpartition("ANSWER")
    return between or None


def faults(path: Path) -> list[str]:
    source = path.read_text("utf-8")
    template = ChatTemplate(source, TOKENS)
    chance = random.Random(path.stem)
    with Sandbox() as sandbox:
        template.probe(sandbox)
        plain = template.render(chat(PLAIN), sandbox, tracked=True)
        markers = markers_of(source, plain.text)
        texts = [marker.text for marker in markers.in_text(" ".join((source, plain.text, *TOKENS.values())))]
        texts = [text for text in texts if "think" not in text]  # templates heed it in answers
        said = [[said_with(texts, chance) for _ in PLAIN] for _ in range(NUM_CHATS)]
        pairs = [
            [template.render(chat([turn[at] for turn in turns]), sandbox, tracked=True) for at in (0, 1)]
            for turns in said
        ]
    return [f"{path.stem}: {it}" for it, harmless in pairs if written(markers, it) != written(markers, harmless)]


def chat(said: list[str]) -> tuple[Message, ...]:
    return tuple(Message("assistant" if i % 2 else "user", text) for i, text in enumerate(said))


def written(markers: Markers, rendered: Rendered) -> list[int]:
    assert rendered.said is not None
    return [part.token for part in markers.split(rendered.text, rendered.said) if part.token is not None]


def said_with(texts: list[str], chance: random.Random) -> tuple[str, str]:
    """What people could write, and the same without markers: a template may heed `/think`."""
    pieces, orders = [], []
    for _ in range(chance.randint(1, 5)):
        marker = chance.choice(texts)
        cut = chance.randrange(len(marker))
        pieces.append(chance.choice([marker, marker[:cut], marker[cut:], "word", " ", "\n", "日本"]))
        order = chance.choice(["", *CHANGED])
        orders.append(order)
        pieces.append(chance.choice([marker[:cut] + order + marker[cut:], order + marker.swapcase()]))
    return f"a{''.join(pieces)}b", f"a{'word'.join(orders)}b"
