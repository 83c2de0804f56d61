"""The text that models are measured on: the shipped one, or a person's own."""

from pathlib import Path

from app.errors import EvaluationError

SHIPPED = Path(__file__).parent / "texts" / "evaluation.txt"
MAX_BYTES = 16 << 20


def read_text(path: Path | None = None) -> str:
    """Raises EvaluationError for a file that is missing, too large, empty or not UTF-8."""
    path = path or SHIPPED
    try:
        if path.stat().st_size > MAX_BYTES:
            limit = MAX_BYTES >> 20
            raise EvaluationError(f"{path.name} is larger than {limit} MiB. Take a part of it: 30 kB are enough.")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as fault:
        raise EvaluationError(f"{path} cannot be read: {fault.strerror or fault}.") from fault
    except UnicodeDecodeError:
        raise EvaluationError(f"{path.name} is not UTF-8 text. Save it as UTF-8, or choose another file.") from None
    if not text.strip():
        raise EvaluationError(f"{path.name} is empty. Choose a text of some pages.")
    return text.removesuffix("\n")  # as llama-perplexity reads a file
