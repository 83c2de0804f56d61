"""JSON that is none, or says what no program means: each a 4xx with a short sentence, and the port goes on."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.bench.attacks._port import Target, judge, open_port
from tests.bench.attacks.case import Case

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
HI = '"messages":[{"role":"user","content":"Hi"}],"max_tokens":8'
REFUSED = {400, 413, 422}  # 413: of more values than are read
DEPTH = 50_000  # with a name at each level no more values than are read


@dataclass(frozen=True)
class Body:
    name: str
    content: bytes
    expected: set[int]
    path: str = CHAT

    def run(self, target: Target) -> str | None:
        answers = target.talk(target.post(self.content, self.path))
        return judge(answers, (self.expected,)) or target.fault()


def cases() -> Iterator[Case]:
    with open_port() as target:
        for body in (*no_json(), *deep(), *odd_texts(), *numbers(), *shapes(), *grammars(), *prompts(), *harmless()):
            yield Case(body.name, partial(body.run, target))


def no_json() -> Iterator[Body]:
    contents = {
        "nothing": b"",
        "a brace": b"{",
        "not UTF-8": b'{"a":"\xff\xfe"}',
        "UTF-16": '{"a":1}'.encode("utf-16"),
        "a zero byte": b'{"a":1}\x00',
        "a zero byte inside": b'{"a":"\x00"}',
        "a number of 5,000 digits": b'{"a":' + b"9" * 5000 + b"}",
        "a number of a million digits": b'{"a":' + b"9" * 1_000_000 + b"}",
        "a float of a million digits": b'{"temperature":0.' + b"1" * 1_000_000 + b"x}",
        "eight megabytes of opening brackets": b"[" * (8 << 20),
        "eight megabytes of quotes": b'"' * (8 << 20),
        "eight megabytes of spaces": b" " * (8 << 20),
        "a comment": b'{"a":1/* b */}',
        "a trailing comma": b'{"a":1,}',
        "two objects": b"{}{}",
        "an escape that is none": b'{"a":"\\x41"}',
    }
    for name, content in contents.items():
        yield Body(name, content, REFUSED)
    for value in ("null", "1", '"text"', "true", "[]", "NaN"):
        yield Body(f"{value} for an object", value.encode(), REFUSED)


def deep() -> Iterator[Body]:
    for name in ("json_schema", "response_format", "messages", "stop", "logit_bias", "metadata"):
        for depth in (960, DEPTH):
            rest = "" if name == "messages" else f",{HI}"
            content = f'{{"{name}":' + '{"a":' * depth + "1" + "}" * depth + f"{rest}}}"
            expected = REFUSED | ({200} if name == "metadata" else set())  # it is ignored, if it can be read
            yield Body(f"{name} of {depth} levels", content.encode(), expected)
    for depth in (65, 200, 960):
        schema = '{"properties":{"a":' * depth + "{}" + "}}" * depth
        yield Body(f"a format with a schema of {depth}", formatted(schema), REFUSED)


def formatted(schema: str) -> bytes:
    return f'{{{HI},"response_format":{{"type":"json_schema","json_schema":{{"schema":{schema}}}}}}}'.encode()


def odd_texts() -> Iterator[Body]:
    half = "\\ud800"
    fields = {
        "content": f'{{"messages":[{{"role":"user","content":"{half}"}}]}}',
        "role": f'{{"messages":[{{"role":"{half}","content":"a"}}]}}',
        "part type": f'{{"messages":[{{"role":"user","content":[{{"type":"{half}"}}]}}]}}',
        "part text": f'{{"messages":[{{"role":"user","content":[{{"type":"text","text":"{half}"}}]}}]}}',
        "key of a part": f'{{"messages":[{{"role":"user","content":[{{"{half}":1}}]}}]}}',
        "model": f'{{{HI},"model":"{half}"}}',
        "stop": f'{{{HI},"stop":["{half}"]}}',
        "grammar": f'{{{HI},"grammar":"{half}"}}',
        "regex": f'{{{HI},"guided_regex":"{half}"}}',
        "schema": f'{{{HI},"json_schema":{{"const":"{half}"}}}}',
        "key of a schema": f'{{{HI},"json_schema":{{"{half}":1}}}}',
        "format": f'{{{HI},"response_format":{{"type":"{half}"}}}}',
        "breaker": f'{{{HI},"dry_sequence_breakers":["{half}"]}}',
        "key of the biases": f'{{{HI},"logit_bias":{{"{half}":1}}}}',
        "overflow": f'{{{HI},"context_overflow":"{half}"}}',
    }
    for name, content in fields.items():
        yield Body(f"half a character: {name}", content.encode(), REFUSED)
    yield Body("half a character in a text", f'{{"prompt":"{half}"}}'.encode(), REFUSED, TEXT)
    yield Body("half a character in two texts", f'{{"prompt":["a","{half}"]}}'.encode(), REFUSED, TEXT)
    for name in ("model", "role", "type"):
        long = "x" * 100_000
        content = {
            "model": {"messages": [{"role": "user", "content": "a"}], "model": long},
            "role": {"messages": [{"role": long, "content": "a"}]},
            "type": {"messages": [{"role": "user", "content": [{"type": long}]}]},
        }[name]
        yield Body(f"100,000 characters of {name}", json.dumps(content).encode(), REFUSED)
    paths = ("../../etc/passwd", "/etc/passwd", "a\x00b", "~root/a.gguf", "C:\\a.gguf", "\u202egpj", " ", "x" * 1000)
    for name in paths:
        content = {"messages": [{"role": "user", "content": "a"}], "model": name}
        yield Body(f"model {name[:20]!r}", json.dumps(content).encode(), {404, *REFUSED})


def numbers() -> Iterator[Body]:
    fields = [
        *("max_tokens", "n", "seed", "temperature", "top_p", "top_k", "repeat_penalty", "presence_penalty", "mirostat"),
        *("draft_length", "top_logprobs", "min_p", "xtc_probability", "dry_base"),
    ]
    for name in fields:
        for value in ("1e400", "-1e400", "NaN", "-Infinity", "1" + "0" * 400, "-99999999999999999999", '"1"', "{}"):
            yield Body(f"{name} {value[:12]}", f'{{{HI.split(",", 1)[0]},"{name}":{value}}}'.encode(), REFUSED)
    biases = [
        '{"1":1e400}',
        '{"-1":1}',
        '{"1":NaN}',
        '{"99999999999999999999":1}',
        '{"1.5":1}',
        '{"²":1}',
        "[[1]]",
        "1",
    ]
    for bias in (*biases, '[["1",1]]', json.dumps({str(n): 1 for n in range(2000)})):
        yield Body(f"bias {bias[:24]}", f'{{{HI},"logit_bias":{bias}}}'.encode(), REFUSED)


def shapes() -> Iterator[Body]:
    messages: list[Any] = [None, {}, "", 1, [], [None], [[]], [{}], [{"role": "user", "content": {}}], ["Hi"], [1e308]]
    for value in messages:
        yield Body(f"messages {value!r}", json.dumps({"messages": value}).encode(), REFUSED)
    many = [{"role": "user", "content": ""}] * 20_000
    yield Body("20,000 messages", json.dumps({"messages": many}).encode(), REFUSED)
    parts = [{"type": kind} for kind in ("image_url", "input_audio", "file", "", None, 1, "refusal")]
    for part in parts:
        content = {"messages": [{"role": "user", "content": [part]}]}
        yield Body(f"part {part['type']!r}", json.dumps(content).encode(), REFUSED)
    for value in ([1], {}, 1, ["a"] * 65, ["x" * 2000]):
        yield Body(f"stop {str(value)[:20]}", f'{{{HI},"stop":{json.dumps(value)}}}'.encode(), REFUSED)
    for value in ("yes", 1, [], {}):
        yield Body(f"stream {value!r}", f'{{{HI},"stream":{json.dumps(value)}}}'.encode(), REFUSED)
    adapters = ([{"id": -1, "scale": 1}], [{"id": 0}], [{"id": 0, "scale": 1e300}], [{"id": 0, "scale": 1}] * 99)
    for value in (1, "a", *adapters):
        yield Body(f"lora {str(value)[:20]}", f'{{{HI},"lora":{json.dumps(value)}}}'.encode(), REFUSED)


def grammars() -> Iterator[Body]:
    values = ["1", "[]", '"object"', "true", '{"a":"' + "x" * 70_000 + '"}']
    for value in values:
        yield Body(f"schema {value[:12]}", f'{{{HI},"json_schema":{value}}}'.encode(), REFUSED)
    formats = ['{"type":"xml"}', '{"type":1}', "[]", '{"type":"json_schema"}', '{"type":"json_schema","json_schema":1}']
    for value in formats:
        yield Body(f"format {value}", f'{{{HI},"response_format":{value}}}'.encode(), REFUSED)
    yield Body("two grammars", f'{{{HI},"grammar":"a","guided_regex":"b"}}'.encode(), REFUSED)
    yield Body("a grammar of 70,000", f'{{{HI},"grammar":"{"x" * 70_000}"}}'.encode(), REFUSED)


def prompts() -> Iterator[Body]:
    values: list[Any] = [None, {}, [], [[]], [None], 1, [1, "a"], [-1], [1.5], [2**31], ["a"] * 129, [[1], {}], [True]]
    for value in values:
        yield Body(f"prompt {str(value)[:20]}", json.dumps({"prompt": value}).encode(), REFUSED, TEXT)
    yield Body("a prompt beyond the context", json.dumps({"prompt": "a" * 1_000_000}).encode(), REFUSED, TEXT)
    yield Body("a million token ids", json.dumps({"prompt": [1] * 1_000_000}).encode(), REFUSED, TEXT)
    yield Body("token ids that no model has", json.dumps({"prompt": [2**30]}).encode(), REFUSED, TEXT)


def harmless() -> Iterator[Body]:
    """What looks odd, and is none of it: it must be answered."""
    yield Body("UTF-16 without a mark", f"{{{HI}}}".encode("utf-16-le"), {200})
    for name, field in {
        "a key twice": '"max_tokens":1,"max_tokens":2',
        "unknown fields": '"user":"a","metadata":{"a":[1,{"b":null}]},"store":false',
        "nulls": '"temperature":null,"stop":null,"n":null,"logit_bias":null',
        "the largest seed": '"seed":9223372036854775807',
        "no limit": '"max_tokens":-1',
        "more tokens than anything": '"max_tokens":2147483647',
        "surrogates in pairs": '"stop":["\\ud83d\\ude00"]',
        "a text that ends every line": '"stop":["\\u2028\\u0000"]',
    }.items():
        yield Body(name, f'{{"messages":[{{"role":"user","content":"Hi"}}],{field}}}'.encode(), {200})
