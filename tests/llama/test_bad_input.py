"""Whatever is wrong with a request, its sender gets one clear sentence, and the streams beside it go on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.inference.supervisor import Supervisor
from app.server import Server
from backends.protocol import DraftMode, EngineOptions
from tests.inference.conftest import SECONDS
from tests.llama.test_engine import EXACT
from tests.server.conftest import Directory

JSON = {"content-type": "application/json"}
PROMPT = list(range(20, 60))
NUM_TOKENS = 150
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"


@pytest.fixture(scope="module")
def client(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The port, with the tiny model behind it."""
    supervisor = Supervisor(tmp_path_factory.mktemp("logs"))
    options = EngineOptions(draft=DraftMode.OFF, **EXACT)  # type: ignore[arg-type]
    supervisor.load("tiny", tiny, options).wait_ready(SECONDS)
    server = Server(Directory(supervisor))
    try:
        with httpx.Client(base_url=server.start(port=0), timeout=SECONDS) as client:
            yield client
    finally:
        server.stop()
        supervisor.close()


class Neighbour:
    """A stream, and what is sent while it runs."""

    body = {"prompt": PROMPT, "temperature": 0, "max_tokens": NUM_TOKENS, "ignore_eos": True}  # noqa: RUF012

    def __init__(self, client: httpx.Client):
        self._client = client
        self.right_text: str = client.post(COMPLETIONS, json=self.body).json()["choices"][0]["text"]

    def beside(self, path: str, *contents: bytes) -> list[httpx.Response]:
        """The answers to what is sent once the stream has begun; its own text must stay right."""
        with self._client.stream("POST", COMPLETIONS, json={**self.body, "stream": True}) as stream:
            events = (line.removeprefix("data: ") for line in stream.iter_lines() if line)
            texts = [_text(next(events))]
            responses = [self._client.post(path, content=content, headers=JSON) for content in contents]
            texts += [_text(event) for event in events if event != "[DONE]"]
        assert "".join(texts) == self.right_text
        return responses


def _text(event: str) -> str:
    return "".join(choice["text"] for choice in json.loads(event)["choices"])


@pytest.fixture(scope="module")
def neighbour(client: httpx.Client) -> Neighbour:
    return Neighbour(client)


def content(**fields: Any) -> bytes:
    return json.dumps({"prompt": PROMPT, "max_tokens": 20, **fields}).encode()


def sentence_of(response: httpx.Response) -> str:
    assert response.status_code in (400, 422), response.text[:500]
    sentence: str = response.json()["error"]["message"]
    assert "Value error" not in sentence
    assert "\n" not in sentence
    assert 15 < len(sentence) < 400
    return sentence


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ([-1], "list of token ids"),
        ([640], "between 0 and 639"),
        ([10**6], "between 0 and 639"),
        ([2**31], "list of token ids"),
        ([10**30], "list of token ids"),
        ([True], "list of token ids"),
        ([1.5], "list of token ids"),
        ([1, None], "list of token ids"),
        (["a", 1], "list of token ids"),
        ([], "from 1 to 128 prompts"),
        ("", "The prompt is empty"),
    ],
)
def test_prompts_that_no_model_can_read(neighbour: Neighbour, tokens: Any, words: str) -> None:
    (response,) = neighbour.beside(COMPLETIONS, content(prompt=tokens))
    assert words in sentence_of(response)


@pytest.mark.parametrize(
    "fields", [{"messages": []}, {"messages": [{"role": "user"}], "max_tokens": 0}, {"messages": [{"role": "king"}]}]
)
def test_chats_that_no_model_can_read(neighbour: Neighbour, fields: dict[str, Any]) -> None:
    (response,) = neighbour.beside(CHAT, json.dumps(fields).encode())
    sentence_of(response)


NUMBERS = [
    *("temperature", "top_p", "top_k", "min_p", "typical_p", "top_n_sigma", "xtc_probability", "xtc_threshold"),
    *("dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n", "mirostat", "mirostat_tau"),
    *("mirostat_eta", "repeat_penalty", "presence_penalty", "frequency_penalty", "seed", "max_tokens"),
    *("max_completion_tokens", "n", "logprobs"),
]
ABSURD = [-1e9, -(10**30), 10**30, 1e308, float("nan"), float("inf"), -float("inf"), "1", True, [], {}]


@pytest.mark.parametrize("name", NUMBERS)
def test_absurd_numbers_are_refused_by_name(neighbour: Neighbour, name: str) -> None:
    absurd = ABSURD[1:] if name == "seed" else ABSURD  # which may be any 64 bits
    for response in neighbour.beside(COMPLETIONS, *(content(**{name: number}) for number in absurd)):
        assert sentence_of(response).startswith(name)


@pytest.mark.parametrize("biases", [{"640": 1}, {"-1": 1}, {"5": 1e9}, {"5": float("nan")}, [[5]], {str(10**30): 1}])
def test_absurd_biases_are_refused_by_name(neighbour: Neighbour, biases: Any) -> None:
    (response,) = neighbour.beside(COMPLETIONS, content(logit_bias=biases))
    assert "logit_bias" in sentence_of(response)


def test_the_largest_seed_there_is_is_taken(neighbour: Neighbour) -> None:
    answers = [response.json() for response in neighbour.beside(COMPLETIONS, *[content(seed=2**63 - 1)] * 2)]
    assert answers[0]["choices"][0]["text"] == answers[1]["choices"][0]["text"]


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


def deep_schema(depth: int) -> bytes:
    """Deeper than Python's own encoder goes."""
    schema = b'{"properties":{"a":' * depth + b"{}" + b"}}" * depth
    return b'{"prompt":[5],"json_schema":' + schema + b"}"


DOUBLING = {f"r{n}": {"allOf": [{"$ref": f"#/$defs/r{n + 1}"}] * 2} for n in range(30)} | {"r30": {"type": "object"}}
PATTERN = {"type": "string", "pattern": "^((a{100}){100}){100}$"}

GRAMMARS = {
    "nested schema": (content(json_schema=nested(100)), "at most 64 deep"),
    "schema nested beyond measure": (deep_schema(3000), ""),
    "schema that is its own definition": (content(json_schema={"$ref": "#"}), "allows no token"),
    "schemas that define each other": (
        content(json_schema={"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
        "allows no token",
    ),
    "reference to nothing": (content(json_schema={"$ref": "#/nowhere"}), "leads to “/nowhere”, and nothing is there"),
    "reference to the network": (content(json_schema={"$ref": "http://127.0.0.1:1/x"}), "nothing is fetched"),
    "enum of thousands": (content(json_schema={"enum": [f"value {n}" for n in range(9000)]}), "65536 characters"),
    "properties by the thousand": (
        content(json_schema={"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(1500)}}),
        "too large",
    ),
    "multiples of a large number": (content(json_schema={"type": "integer", "multipleOf": 999983}), "multipleOf"),
    "multiples of two numbers": (
        content(json_schema={"allOf": [{"type": "integer", "multipleOf": n} for n in (997, 991)]}),
        "multipleOf",
    ),
    "multiples of a fine fraction": (content(json_schema={"type": "number", "multipleOf": 0.123457}), "multipleOf"),
    "unknown type": (content(json_schema={"type": "nonsense"}), "“nonsense” is no type"),
    "nothing is between": (
        content(json_schema={"type": "integer", "minimum": 9, "maximum": 1}),
        "9 is above",
    ),
    "regex that is not one": (content(guided_regex="(" * 5000), "has no end"),
    "regex nested beyond measure": (content(guided_regex="(" * 5000 + "a" + ")" * 5000), "nested too deeply"),
    "regex that looks ahead": (content(guided_regex="(?=a)b"), "cannot look ahead"),
    "grammar that is not one": (content(grammar="root ::= ("), "')' is missing"),
    "grammar without an end": (content(grammar="root ::= root"), "allows no token"),
    "grammar without a rule": (content(grammar="root ::= nowhere"), "no rule “nowhere”"),
    "grammar of megabytes": (content(grammar='root ::= "a"' + ' | "b"' * 10**6), "65536 characters"),
    "grammar nested beyond measure": (
        content(grammar="root ::= " + "(" * 9000 + '"a"' + ")" * 9000),
        "nested too deeply",
    ),
    "grammar that doubles": (
        content(grammar="\n".join(["root ::= r0", *(f"r{n} ::= r{n + 1} r{n + 1}" for n in range(40)), 'r40 ::= "a"'])),
        "cannot be used",  # it is too big, or a busy machine took two seconds to find that out
    ),
    "grammar that is ambiguous": (content(grammar="root ::= " + "[a-z]* " * 3000), "cannot be used"),
}


@pytest.mark.parametrize("name", GRAMMARS)
def test_grammars_that_cannot_be_followed_are_refused_with_the_reason(neighbour: Neighbour, name: str) -> None:
    body, words = GRAMMARS[name]
    (response,) = neighbour.beside(COMPLETIONS, body)
    assert words in sentence_of(response)


@pytest.mark.parametrize(
    "fields",
    [
        {"guided_regex": "(a|a)*{1000}"},
        {"guided_regex": "(x+x+)+y"},
        {"guided_regex": ".*a.{3000}"},
        {"guided_regex": "((a{100}){100}){100}"},
        {"guided_regex": "a{1000000000}"},
        {"guided_regex": "^a{100000}$"},
        {"json_schema": PATTERN},
        {"grammar": 'root ::= "a" | root root | root root root'},
        {"json_schema": {"$defs": DOUBLING, "$ref": "#/$defs/r0"}},
        {"json_schema": {"type": "array", "minItems": 50_000}},
        {"json_schema": {"type": "string", "maxLength": 10**9}},
        {"json_schema": {"type": "number", "multipleOf": 0.25}},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_grammars_that_only_look_dangerous_are_followed(neighbour: Neighbour, fields: dict[str, Any]) -> None:
    (response,) = neighbour.beside(COMPLETIONS, content(**fields))
    assert response.status_code == 200, response.text
