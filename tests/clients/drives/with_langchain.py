"""langchain-openai: a chat model, typed answers, embeddings, and an agent whose first turn must call."""

from collections.abc import Callable
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain_core.messages import ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel
from steps import CALLED, KEY, MODEL, OPENAI, run, step, temperature_in

model = ChatOpenAI(model=MODEL, base_url=OPENAI, api_key=KEY, max_retries=0, max_tokens=100, temperature=0)
QUESTION = "Name a colour of the sky."


class Colour(BaseModel):
    name: str
    red: int


@wrap_model_call
def call_first(request: Any, handler: Callable[[Any], Any]) -> Any:
    """Small models answer without a call: the first turn demands one, the next forbids it."""
    is_first = not any(isinstance(message, ToolMessage) for message in request.messages)
    return handler(request.override(tool_choice="required" if is_first else "none"))


@step("invoke")
def invoke() -> None:
    assert model.invoke(QUESTION).content


@step("stream")
def stream() -> None:
    assert "".join(str(chunk.content) for chunk in model.stream(QUESTION))


@step("with_structured_output, json_schema")
def typed() -> None:
    assert isinstance(model.with_structured_output(Colour).invoke(QUESTION), Colour)


@step("with_structured_output, function_calling")
def called() -> None:
    assert isinstance(model.with_structured_output(Colour, method="function_calling").invoke(QUESTION), Colour)


@step("an agent with a tool")
def agent() -> None:
    told = create_agent(model, [temperature_in], middleware=[call_first]).invoke(
        {"messages": [{"role": "user", "content": "How warm is it in Rome?"}]}
    )
    assert CALLED
    assert told["messages"][-1].content


@step("embeddings")
def embeddings() -> None:
    by = OpenAIEmbeddings(model=MODEL, base_url=OPENAI, api_key=KEY, check_embedding_ctx_length=False)
    assert len(by.embed_documents(["sky", "sea"])) == 2


run()
