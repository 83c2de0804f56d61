"""LangChain: its models for OpenAI's, Anthropic's and Ollama's dialects, and an agent on each."""

from collections.abc import Callable
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai import NotFoundError
from pydantic import BaseModel
from steps import CALLED, KEY, MODEL, OPENAI, ROOT, run, step, temperature_in

ASKED = "Name a colour of the sky."


class Colour(BaseModel):
    """A colour of something."""

    name: str
    red: int


def openai(limit: int = 24, **more: Any) -> ChatOpenAI:
    return ChatOpenAI(model=MODEL, base_url=OPENAI, api_key=KEY, max_retries=0, max_tokens=limit, **more)


def anthropic(limit: int = 24) -> ChatAnthropic:
    return ChatAnthropic(model_name=MODEL, base_url=ROOT, api_key=KEY, max_retries=0, max_tokens=limit)


def ollama(limit: int = 24) -> ChatOllama:
    return ChatOllama(model=MODEL, base_url=ROOT, num_predict=limit)


def drive_agent(model: Any, no_call: Any = "none") -> None:
    """no_call: the model's words for no call."""

    @wrap_model_call
    def call_first(request: Any, handler: Callable[[Any], Any]) -> Any:
        """This model does not call of itself: the first turn is made to, the second is kept from it."""
        has_called = any(isinstance(message, ToolMessage) for message in request.messages)
        return handler(request.override(tool_choice=no_call if has_called else "any"))

    agent = create_agent(model, tools=[temperature_in], middleware=[call_first])
    turns = agent.invoke({"messages": [HumanMessage("How warm is it in Rome?")]})["messages"]
    assert CALLED
    assert [turn.type for turn in turns] == ["human", "ai", *["tool"] * len(CALLED), "ai"], turns
    assert turns[-1].text


def check_answer(model: Any) -> None:
    answer = model.invoke(ASKED)
    assert answer.text
    assert answer.usage_metadata["output_tokens"], answer


def check_stream(model: Any) -> None:
    pieces = list(model.stream(ASKED))
    assert len(pieces) > 1
    assert "".join(piece.text for piece in pieces)


@step("openai: invoke")
def invoke() -> None:
    check_answer(openai())


@step("openai: stream, with usage")
def stream() -> None:
    check_stream(openai())
    pieces = list(openai(stream_usage=True).stream(ASKED))
    assert any(piece.usage_metadata for piece in pieces)


@step("openai: batch")
def batch() -> None:
    answers = openai().batch([ASKED, "Name a fruit.", "Name a town."])
    assert all(answer.text for answer in answers)


@step("openai: a history with a tool's result")
def history() -> None:
    call: Any = {"name": "temperature_in", "args": {"city": "Rome"}, "id": "call_1", "type": "tool_call"}
    turns = [
        HumanMessage("How warm is it in Rome?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("21", tool_call_id="call_1"),
    ]
    assert openai().invoke(turns).text


@step("openai: an agent, the first turn demanded")
def agent() -> None:
    drive_agent(openai(100))


@step("openai: with_structured_output by a schema")
def by_schema() -> None:
    made = openai(200).with_structured_output(Colour, method="json_schema").invoke(ASKED)
    assert isinstance(made, Colour), made


@step("openai: with_structured_output by a tool")
def by_tool() -> None:
    made = openai(200).with_structured_output(Colour, method="function_calling").invoke(ASKED)
    assert isinstance(made, Colour), made


@step("openai: embeddings of texts")
def embeddings() -> None:
    """Without the check of lengths, for which it would send tokens of OpenAI's own vocabulary."""
    maker = OpenAIEmbeddings(model=MODEL, base_url=OPENAI, api_key=KEY, max_retries=0, check_embedding_ctx_length=False)
    vectors = maker.embed_documents(["sky", "sea"])
    assert len(vectors) == 2
    assert len(vectors[0]) == len(vectors[1]) > 1


@step("openai: invoke on /v1/responses")
def responses() -> None:
    check_answer(openai(use_responses_api=True))


@step("openai: stream on /v1/responses")
def responses_streamed() -> None:
    check_stream(openai(use_responses_api=True))


@step("openai: an unknown model is NotFoundError")
def unknown() -> None:
    try:
        ChatOpenAI(model="no-such-model", base_url=OPENAI, api_key=KEY, max_retries=0).invoke(ASKED)
    except NotFoundError:
        return
    raise AssertionError("a model that is not there answered")


@step("anthropic: invoke, stream")
def anthropic_chat() -> None:
    check_answer(anthropic())
    check_stream(anthropic())


@step("anthropic: an agent, the first turn demanded")
def anthropic_agent() -> None:
    drive_agent(anthropic(100), {"type": "none"})


@step("anthropic: with_structured_output")
def anthropic_structured() -> None:
    made = anthropic(200).with_structured_output(Colour).invoke(ASKED)
    assert isinstance(made, Colour), made


@step("ollama: invoke, stream")
def ollama_chat() -> None:
    check_answer(ollama())
    check_stream(ollama())


@step("ollama: with_structured_output by a schema")
def ollama_structured() -> None:
    made = ollama(200).with_structured_output(Colour, method="json_schema").invoke(ASKED)
    assert isinstance(made, Colour), made


@step("ollama: bind_tools; whether it calls is the model's")
def ollama_tools() -> None:
    assert ollama(40).bind_tools([temperature_in]).invoke("Call temperature_in for Rome.") is not None


@step("ollama: embeddings")
def ollama_embeddings() -> None:
    assert len(OllamaEmbeddings(model=MODEL, base_url=ROOT).embed_documents(["sky", "sea"])) == 2


run()
