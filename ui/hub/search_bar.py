"""The page's head: what a person looks for, and facets that narrow it. Says it when they pause."""

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.hub.repository import Format, SearchQuery, Sort
from ui.settings.fields import Choice
from ui.widgets.flow_layout import FlowLayout
from ui.widgets.labels import label

PAUSE_MS = 250
FORMATS = (("Any format", None), ("GGUF", Format.GGUF), ("Safetensors", Format.SAFETENSORS))
SIZES = (
    ("Any size", (None, None)),
    ("Up to 2 B", (None, 2_000_000_000)),
    ("2 to 5 B", (2_000_000_000, 5_000_000_000)),
    ("5 to 10 B", (5_000_000_000, 10_000_000_000)),
    ("10 to 35 B", (10_000_000_000, 35_000_000_000)),
    ("Over 35 B", (35_000_000_000, None)),
)
ARCHITECTURES = (
    ("Any family", None),
    *((name, name) for name in ("llama", "qwen3", "qwen3moe", "qwen2", "gemma3", "gemma2", "mistral", "phi3")),
    *((name, name) for name in ("smollm3", "granite", "olmo2", "lfm2", "glm4", "gpt-oss")),
)
LICENSES = (
    ("Any license", None),
    ("Apache 2.0", "apache-2.0"),
    ("MIT", "mit"),
    ("Llama 3.1", "llama3.1"),
    ("Llama 3.2", "llama3.2"),
    ("Gemma", "gemma"),
    ("Other", "other"),
)
SORTS = (("Downloads", Sort.DOWNLOADS), ("Likes", Sort.LIKES), ("Newest", Sort.UPDATED))
AUTHOR_WIDTH = 112


class SearchBar(QWidget):
    asked = Signal(object)  # SearchQuery
    emptied = Signal()  # nothing is looked for

    def __init__(self) -> None:
        super().__init__()
        self._timer = QTimer(self, interval=PAUSE_MS, singleShot=True)
        self._said = SearchQuery()
        self.edit = QLineEdit(placeholderText="Search models, for example “qwen3 8b”")
        self.edit.setAccessibleName("Search models")
        self.edit.setClearButtonEnabled(True)
        self.edit.setMaxLength(128)
        self.author = QLineEdit(placeholderText="Any author")
        self.author.setAccessibleName("Author")
        self.author.setFixedWidth(AUTHOR_WIDTH)
        self.author.setMaxLength(64)
        self.format = Choice(FORMATS, None)
        self.parameters = Choice(SIZES, (None, None))
        self.architecture = Choice(ARCHITECTURES, None)
        self.license = Choice(LICENSES, None)
        self.sort = Choice(SORTS, Sort.DOWNLOADS)
        self._choices: dict[str, Choice] = {
            "Format": self.format,
            "Size": self.parameters,
            "Architecture": self.architecture,
            "License": self.license,
            "Order": self.sort,
        }
        self._lay_out()

        self._timer.timeout.connect(self._say)
        for edit in (self.edit, self.author):
            edit.textChanged.connect(self._timer.start)
            edit.returnPressed.connect(self._say)
        for choice in self._choices.values():
            choice.picked.connect(self._say)

    def query(self) -> SearchQuery:
        minimum, maximum = self.parameters.values[self.parameters.currentIndex()]
        return SearchQuery(
            text=self.edit.text().strip(),
            format=self.format.values[self.format.currentIndex()],
            sort=self.sort.values[self.sort.currentIndex()],
            license=self.license.values[self.license.currentIndex()],
            architecture=self.architecture.values[self.architecture.currentIndex()],
            author=self.author.text().strip() or None,
            min_parameters=minimum,
            max_parameters=maximum,
        )

    def look_for(self, text: str) -> None:
        self.edit.setText(text)
        self._say()

    def _say(self) -> None:
        """At once; what is the same as before is not said again."""
        self._timer.stop()
        query = self.query()
        if query == self._said:
            return
        self._said = query
        if query == SearchQuery(sort=query.sort):
            self.emptied.emit()
        else:
            self.asked.emit(query)

    def _lay_out(self) -> None:
        facets = QWidget()
        row = FlowLayout(facets, 8)
        for name, choice in self._choices.items():
            choice.setAccessibleName(name)
            choice.setToolTip(name)
            row.addWidget(choice)
        row.addWidget(self.author)
        title = QHBoxLayout()
        title.setSpacing(24)
        title.addWidget(label("Discover", "title"))
        title.addWidget(self.edit, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(16)
        layout.addLayout(title)
        layout.addWidget(facets)
