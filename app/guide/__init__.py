"""The bundled model: where its checkpoint lies and what to ask it. Knows paths and words, nothing of models.

`GUIDE_DIR` holds a tiny Llama in safetensors that answers questions about Slipstream, `DRAFT_DIR` the smaller model
that drafts for it. Both are trained by `packaging/guide/train.py`; every question named here is a trained one.
"""

from pathlib import Path

GUIDE_NAME = "Slipstream Guide"
GUIDE_DIR = Path(__file__).resolve().parent
DRAFT_DIR = GUIDE_DIR / "draft"

# offered on the empty chat page
SUGGESTED_QUESTIONS: tuple[str, ...] = (
    "What is Slipstream?",
    "What does the live strip show?",
    "What is speculative decoding?",
    "Why is the second question faster?",
    "Is the port compatible with OpenAI?",
    "Are my prompts private?",
)

# its answer runs over some 700 tokens: long enough to be stopped half-way
TOUR_QUESTION = "Give me the full tour of Slipstream."
