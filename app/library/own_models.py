"""The two models that Slipstream brings itself, each by a word instead of a publisher's name."""

from dataclasses import dataclass

FIRST_MODEL = "“slipstream install guide” installs the model that comes with Slipstream."


@dataclass(frozen=True, slots=True)
class OwnModel:
    """file: of the managed folder's `<publisher>/<repo>`, whatever a person calls the model."""

    word: str
    publisher: str
    repo: str
    file: str

    @property
    def place(self) -> tuple[str, str, str]:
        return self.publisher, self.repo, self.file


GUIDE = OwnModel("guide", "slipstream", "guide", "slipstream-guide-Q4_K_M.gguf")
SMOLLM2 = OwnModel("smollm2", "HuggingFaceTB", "SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct.Q4_1.gguf")
SMOLLM2_SIZE = "98 MB"  # of the file, as the library shows it
OWN_MODELS = {own.word: own for own in (GUIDE, SMOLLM2)}
