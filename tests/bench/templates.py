"""Real chat templates in our renderer beside transformers' apply_chat_template, over conversations as people have them.

`python -m tests.bench.templates` writes results/templates.{json,md}: for each template in how many chats the texts are
equal, what it refuses there and is rendered here, and what differs, with the reason.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.formats.gguf import read_header
from backends.llama.chat_format import ChatFormat
from backends.llama.chat_jobs import TEMPLATE, Probe, Render, Template
from backends.llama.compiled import CompiledTemplate
from backends.protocol import Message
from backends.sandbox.job import Refused
from tests.real import things
from tests.real.chats import CHATS, TOKENS, Chat, as_transformers

RESULTS = Path(__file__).parent / "results"
OWN_NAMES = ("bos_token", "eos_token", "pad_token", "unk_token")
LEFT_OUT = "transformers' text leaves out {}; here it goes before the next question"
UNEXPLAINED = "no reason found"
CANARY = "<|zq{}|>"


@dataclass(frozen=True, slots=True)
class Real:
    name: str
    source: str
    tokens: dict[str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """kind: equal, mended (transformers refuses the chat), other or refused. why: for all but equal."""

    kind: str
    why: str = ""


def real_templates() -> Iterator[Real]:
    """The 70 of llama.cpp's sdist, those of the seven tokenizers where they have one, and that of SmolLM2's file."""
    for path in things.templates():
        yield Real(path.stem, path.read_text("utf-8"), TOKENS)
    for name in things.TOKENIZERS:
        folder = next(things.tokenizer(name).rglob("tokenizer_config.json")).parent
        config = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        if isinstance(config.get("chat_template"), str):
            yield Real(f"tokenizer {name}", config["chat_template"], _tokens(config))
    metadata = read_header(things.smollm2()).metadata
    yield Real("SmolLM2-135M-Instruct (GGUF)", str(metadata["tokenizer.chat_template"]), TOKENS)


def _tokens(config: dict[str, Any]) -> dict[str, str]:
    values = {name: config.get(name) for name in OWN_NAMES}
    texts = {name: value["content"] if isinstance(value, dict) else value for name, value in values.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def form_of(template: CompiledTemplate) -> ChatFormat:
    """What the load finds out; as there, a template that cannot be tried is used all the same."""
    try:
        return Probe().run({TEMPLATE: template})
    except Refused:
        return ChatFormat()


def judge(real: Real, template: CompiledTemplate, form: ChatFormat, it: Chat) -> Verdict:
    try:
        theirs, refusal = as_transformers(real.source, it, real.tokens), ""
    except Exception as error:  # a template may raise anything
        theirs, refusal = None, str(error).splitlines()[0][:90] if str(error) else type(error).__name__
    try:
        ours = Render(it.messages, form, it.continues).run({TEMPLATE: template}).text
    except Refused as reason:
        return Verdict("refused", str(reason))
    if theirs is None:
        return Verdict("mended", refusal)
    return Verdict("equal") if ours == theirs else Verdict("other", _difference(it.messages, ours, theirs))


def _difference(messages: tuple[Message, ...], ours: str, theirs: str) -> str:
    """The turns that their text leaves out, if ours has all."""
    missing = [m.role for m in messages if m.content.strip() not in theirs and m.content.strip() in ours]
    return LEFT_OUT.format(f"a later {missing[0]} turn") if missing else UNEXPLAINED


def lost_origins(template: CompiledTemplate, form: ChatFormat, it: Chat) -> list[str]:
    """People's markers, one around and inside of each turn, that a tracked rendering takes for the template's own; or
    that its text is another one."""
    messages = tuple(_with_canaries(i, message) for i, message in enumerate(it.messages))
    plain = Render(messages, form, it.continues).run({TEMPLATE: template})
    tracked = Render(messages, form, it.continues, tracked=True).run({TEMPLATE: template})
    if plain.text != tracked.text or tracked.said is None:
        return ["another text"]
    found = re.finditer(CANARY.replace("|", r"\|").format(r"\d+"), tracked.text)
    spans = tracked.said
    return [m[0] for m in found if not any(a <= m.start() and m.end() <= b for a, b in spans)]


def _with_canaries(number: int, message: Message) -> Message:
    if not message.content.strip():
        return message
    canary, half = CANARY.format(number), len(message.content) // 2
    return Message(message.role, canary.join(["", message.content[:half], message.content[half:], ""]))


def measure() -> list[dict[str, Any]]:
    rows = []
    for real in real_templates():
        template = Template(real.source, real.tokens).unpack()
        begin = time.process_time()
        form = form_of(template)
        milliseconds = 1000 * (time.process_time() - begin)
        verdicts = {name: judge(real, template, form, it) for name, it in CHATS.items()}
        lost = sum(bool(lost_origins(template, form, it)) for it in CHATS.values())
        counts = Counter(verdict.kind for verdict in verdicts.values())
        notes = {name: f"{v.kind}: {v.why}" for name, v in verdicts.items() if v.kind != "equal"}
        row = {"template": real.name, "chats": len(CHATS), **{k: counts[k] for k in ("equal", "mended", "other")}}
        rows.append(row | {"refused": counts["refused"], "lost": lost, "probe_ms": round(milliseconds), "notes": notes})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    kinds = ("chats", "equal", "mended", "other", "refused", "lost")
    lines = [
        "Chats whose text equals that of transformers' apply_chat_template; mended: it refuses them, they are rendered",
        "here; other: with the reason below; lost: in how many people's markers were taken for the template's.",
        "Probe: CPU milliseconds at the load, compiling included.\n",
        f"| template | {' | '.join(kinds)} | probe ms |",
        "|---|" + "---|" * (len(kinds) + 1),
    ]
    lines += [f"| {r['template']} | {' | '.join(str(r[k]) for k in kinds)} | {r['probe_ms']} |" for r in rows]
    totals = [str(sum(r[kind] for r in rows)) for kind in kinds]
    lines.append(f"| all {len(rows)} | {' | '.join(totals)} | {max(r['probe_ms'] for r in rows)} at most |")
    return "\n".join([*lines, "", *_reasons(rows)]) + "\n"


def _reasons(rows: list[dict[str, Any]]) -> list[str]:
    """What differs, each with its templates and the chats."""
    reasons: dict[str, tuple[set[str], set[str]]] = {}
    for row in rows:
        for chat, note in row["notes"].items():
            names, chats = reasons.setdefault(note, (set(), set()))
            names.add(row["template"])
            chats.add(chat)
    lines = []
    for note, (names, chats) in sorted(reasons.items()):
        which = "all chats" if len(chats) == len(CHATS) else ", ".join(sorted(chats))
        lines.append(f"- {note} — {', '.join(sorted(names))}: {which}")
    return lines


def main() -> int:
    rows = measure()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "templates.json").write_text(json.dumps(rows, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    (RESULTS / "templates.md").write_text(table(rows), encoding="utf-8")
    print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
