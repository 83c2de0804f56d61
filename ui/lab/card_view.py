"""One model's card: a sentence, the figures with what they are compared to, and the way to measure it anew."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFormLayout, QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout

from app.lab.card import verdict
from ui.figures import size
from ui.plain import plain_tip
from ui.widgets.job_row import JobRow
from ui.widgets.labels import button, label, restyle

if TYPE_CHECKING:
    from app.jobs.job import Job
    from app.lab.card import Card
    from backends.measurement import Choices, Divergence, Noise

MOSTLY_NOISE = 2.0  # a divergence of less than so many times the noise is for the greater part noise
NUM_ENDINGS = 4  # of a multiple-choice item
ROWS = ("Quality", "Kernel noise", "Multiple choice", "Perplexity", "Size", "Speed", "Loads in", "Memory", "Measured")
NOISE_TIP = (
    "The same file, computed a second time {path}. Where weights are quantized, their kernels round what they are "
    "multiplied with as well, and each path rounds otherwise. Two files that are nearer than this cannot be told "
    "apart; what both paths round alike is not seen."
)
UNMEASURED = "Quality and speed on this machine are not measured yet."


class CardView(QFrame):
    measure_clicked = Signal()
    cancel_clicked = Signal(int)  # id of the job
    dismissed = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self._verdict = label(UNMEASURED, wraps=True)
        self._hint = label("", "caption", wraps=True)
        self._values = {row: label("", wraps=True) for row in ROWS}
        self.measure = button("Measure this model")
        self._form = QFormLayout()
        self._job: JobRow | None = None
        self._lay_out()
        self.measure.clicked.connect(self.measure_clicked)

    def show_card(self, card: "Card | None", against: str | None = None) -> None:
        """against: the name of the file that measuring would compare with; None: there is none in the library."""
        self._verdict.setText(verdict(card) if card else UNMEASURED)
        restyle(self._verdict, "kind", "problem" if card and card.is_worse else "strong" if card else "muted")
        rows = figures(card) if card else {}
        for row, value in self._values.items():
            value.setText(rows.get(row, ""))
            self._form.setRowVisible(value, row in rows)
        tip = NOISE_TIP.format(path=card.noise.path) if card and card.noise else ""
        self._values["Kernel noise"].setToolTip(plain_tip(tip) if tip else "")
        self.measure.setText("Measure again" if card else "Measure this model")
        self._hint.setText(
            f"Its predictions will be compared with those of {against}."
            if against
            else "There is no F16, BF16 or Q8_0 file of the same model in the library to compare it with: "
            "only its speed will be measured."
        )

    def show_job(self, job: "Job | None") -> None:
        """The measuring that goes on for this model; None when none does."""
        is_open = job is not None and (not job.state.is_final or job.error is not None)
        self.measure.setVisible(job is None or job.state.is_final)
        self._hint.setVisible(not is_open)
        if self._job is not None and not is_open:
            self._job.deleteLater()
            self._job = None
        if not is_open or job is None:
            return
        if self._job is None:
            self._job = JobRow(job, is_dismissable=True)
            self._job.cancel_clicked.connect(self.cancel_clicked)
            self._job.dismissed.connect(self.dismissed)
            self._column.addWidget(self._job)
        self._job.show_job(job)

    def _lay_out(self) -> None:
        self._form.setHorizontalSpacing(24)
        self._form.setVerticalSpacing(8)
        for row, value in self._values.items():
            title = label(row, "muted")
            for each in (title, value):
                each.setAlignment(Qt.AlignmentFlag.AlignTop)  # a value may have several lines
            title.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.MinimumExpanding)
            self._form.addRow(title, value)
        action = QHBoxLayout()
        action.setSpacing(12)
        action.addWidget(self.measure)
        action.addWidget(self._hint, 1)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(24, 24, 24, 24)
        self._column.setSpacing(16)
        self._column.addWidget(label("Measured quality and speed", "section"))
        self._column.addWidget(self._verdict)
        self._column.addLayout(self._form)
        self._column.addLayout(action)


def figures(card: "Card") -> dict[str, str]:
    """Row by row, beside the reference's where that is known."""
    speed, other = card.speed, card.reference.speed if card.reference else None
    rows = {}
    if kld := card.kld:
        rows["Quality"] = (
            f"{kld.same_top:.1%} ± {kld.same_top_error:.1%} same next token\n"
            f"KL divergence {kld.mean:.4f} ± {kld.error:.4f} on the average, 99 % below {kld.p99:.3f}, "
            f"at most {kld.maximum:.2f}"
        )
    if noise := card.noise:
        rows["Kernel noise"] = (
            f"KL divergence {noise.mean:.4f} ± {noise.error:.4f} from itself by another path\n"
            f"{noise.same_top:.1%} same next token{_beside(noise, card.kld)}"
        )
    if choices := card.choices:
        rows["Multiple choice"] = _multiple_choice(choices)
    if evaluation := card.evaluation:
        before = f", was {evaluation.reference_perplexity:.2f}" if evaluation.reference_perplexity else ""
        rows["Perplexity"] = f"{evaluation.perplexity:.2f} ± {evaluation.perplexity_error:.2f}{before}"
    before = f", was {size(card.reference.bytes)}" if card.reference else ""
    rows["Size"] = f"{size(card.bytes)}, {card.bits_per_weight:.2f} bits per weight{before}"
    rows["Speed"] = (
        f"answers with {speed.decode_per_second:,.1f} tokens/s"
        + (f", was {other.decode_per_second:,.1f}" if other else "")
        + f"\nreads prompts with {speed.prompt_per_second:,.0f} tokens/s"
        + (f", was {other.prompt_per_second:,.0f}" if other else "")
    )
    rows["Loads in"] = f"{speed.load_seconds:.2f} s" + (f", was {other.load_seconds:.2f} s" if other else "")
    rows["Memory"] = size(speed.memory_bytes) + (f" and {size(speed.vram_bytes)} VRAM" if speed.vram_bytes else "")
    threads = "1 thread" if speed.threads == 1 else f"{speed.threads} threads"
    rows["Measured"] = f"{card.made[:10]} on {card.machine}, {threads}"
    return rows


def _beside(noise: "Noise", kld: "Divergence | None") -> str:
    """What the noise means for the divergence from the reference."""
    if kld is None:
        return ""
    if kld.mean < MOSTLY_NOISE * noise.mean:
        return "; most of the divergence above is this noise"
    return f"; the divergence above is {kld.mean / noise.mean:,.0f} times as large"


def _multiple_choice(choices: "Choices") -> str:
    before = f", was {choices.reference_accuracy:.1%}" if choices.reference_accuracy is not None else ""
    same = f"; {choices.same_answers:.1%} of the answers are the same" if choices.same_answers is not None else ""
    either_way = (choices.high - choices.low) / 2
    return (
        f"{choices.accuracy:.1%} right{before}{same}\n"
        f"± {either_way:.0%} with {choices.num_items:,} items, guessing gets {1 / NUM_ENDINGS:.0%}"
    )
