"""The text and the multiple-choice items that models are measured on: the shipped ones, or a person's own.

evaluation.txt and choices.txt were written for Slipstream, by hand, and are under its licence. choices.txt has
llama-perplexity's form (`--hellaswag`), which knows no comments.
"""

from pathlib import Path

from app.errors import EvaluationError
from backends.regular_file import OddFileError, read_regular

SHIPPED = Path(__file__).parent / "texts" / "evaluation.txt"
SHIPPED_CHOICES = SHIPPED.with_name("choices.txt")
MAX_BYTES = 16 << 20


def read_text(path: Path | None = None) -> str:
    """Raises EvaluationError for a file that is missing, too large, empty or not UTF-8."""
    path = path or SHIPPED
    try:
        text = read_regular(path, MAX_BYTES).decode("utf-8-sig")
    except OddFileError as fault:
        raise EvaluationError(f"{path.name} cannot be read: {fault.strerror}. Take a text of some 30 kB.") from fault
    except OSError as fault:
        raise EvaluationError(f"{path} cannot be read: {fault.strerror or fault}.") from fault
    except UnicodeDecodeError:
        raise EvaluationError(f"{path.name} is not UTF-8 text. Save it as UTF-8, or choose another file.") from None
    if not text.strip():
        raise EvaluationError(f"{path.name} is empty. Choose a text of some pages.")
    return text.removesuffix("\n")  # as llama-perplexity reads a file
