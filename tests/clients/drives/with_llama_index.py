"""LlamaIndex: OpenAILike for chats, completions and vectors, a function agent, and a question over documents."""

from typing import Any

from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel
from steps import CALLED, KEY, MODEL, OPENAI, run, step, temperature_in

ASKED = [ChatMessage(role="user", content="Name a colour of the sky.")]
EMBEDDER = OpenAILikeEmbedding(model_name=MODEL, api_base=OPENAI, api_key=KEY, max_retries=0)


class Colour(BaseModel):
    """A colour of something."""

    name: str
    red: int


def model(limit: int = 24, *, is_chat: bool = True, **more: Any) -> OpenAILike:
    return OpenAILike(
        model=MODEL,
        api_base=OPENAI,
        api_key=KEY,
        max_retries=0,
        timeout=300,
        max_tokens=limit,
        is_chat_model=is_chat,
        is_function_calling_model=is_chat,
        context_window=4096,
        **more,
    )


@step("chat")
def chat() -> None:
    assert model().chat(ASKED).message.content


@step("stream_chat")
def stream() -> None:
    parts = list(model().stream_chat(ASKED))
    assert "".join(part.delta or "" for part in parts) == parts[-1].message.content != ""


@step("achat, astream_chat")
async def chat_async() -> None:
    assert (await model().achat(ASKED)).message.content
    assert [part async for part in await model().astream_chat(ASKED)]


@step("complete, stream_complete")
def complete() -> None:
    assert model(8, is_chat=False).complete("The sky is").text
    assert list(model(8, is_chat=False).stream_complete("The sky is"))[-1].text


@step("chat_with_tools, demanded")
def with_tools() -> None:
    tool = FunctionTool.from_defaults(temperature_in)
    maker = model(100)
    answer = maker.chat_with_tools([tool], user_msg="How warm is it in Rome?", tool_required=True)
    (call,) = maker.get_tool_calls_from_response(answer)[:1]
    assert call.tool_name == "temperature_in"
    assert "city" in call.tool_kwargs


@step("a function agent, the first turn demanded")
async def agent() -> None:
    agent = FunctionAgent(
        tools=[temperature_in], llm=model(100), initial_tool_choice="required", allow_parallel_tool_calls=False
    )
    result = await agent.run("How warm is it in Rome?")
    assert CALLED
    assert result.response.content is not None


@step("a structured result by a tool")
def structured() -> None:
    made = model(200).as_structured_llm(Colour).chat(ASKED).raw
    assert isinstance(made, Colour), made


@step("a structured prediction from a prompt")
def predicted() -> None:
    made = model(200).structured_predict(Colour, PromptTemplate("Name a colour of {thing}."), thing="the sky")
    assert isinstance(made, Colour), made


@step("embeddings")
def embeddings() -> None:
    vectors = EMBEDDER.get_text_embedding_batch(["sky", "sea", "soil"])
    assert len({len(vector) for vector in vectors}) == 1
    assert len(EMBEDDER.get_query_embedding("sky")) == len(vectors[0]) > 1


@step("a question over documents")
def documents() -> None:
    Settings.llm, Settings.embed_model = model(24), EMBEDDER
    texts = ["The sky of Mars is red.", "Grass is green."]
    engine = VectorStoreIndex.from_documents([Document(text=text) for text in texts]).as_query_engine()
    answer = engine.query("Which colour has the sky of Mars?")
    assert str(answer)
    assert len(answer.source_nodes) == 2


run()
