"""llama-index: OpenAILike as a language model and as embeddings."""

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from steps import KEY, MODEL, OPENAI, run, step, temperature_in

model = OpenAILike(
    model=MODEL,
    api_base=OPENAI,
    api_key=KEY,
    is_chat_model=True,
    is_function_calling_model=True,
    context_window=2048,
    max_tokens=60,
    max_retries=0,
)
ASKED = [ChatMessage(role="user", content="Name a colour of the sky.")]


@step("complete")
def complete() -> None:
    assert model.complete("The sky is").text


@step("chat")
def chat() -> None:
    assert model.chat(ASKED).message.content


@step("stream_chat")
def stream() -> None:
    assert "".join(part.delta or "" for part in model.stream_chat(ASKED))


@step("chat, async")
async def chat_async() -> None:
    assert (await model.achat(ASKED)).message.content


@step("chat_with_tools, a demanded call")
def tools() -> None:
    tool = FunctionTool.from_defaults(temperature_in)
    answer = model.chat_with_tools([tool], "How warm is it in Rome?", tool_required=True)
    assert model.get_tool_calls_from_response(answer)[0].tool_name == "temperature_in"


@step("embeddings")
def embeddings() -> None:
    by = OpenAILikeEmbedding(model_name=MODEL, api_base=OPENAI, api_key=KEY)
    assert len(by.get_text_embedding_batch(["sky", "sea"])) == 2


run()
