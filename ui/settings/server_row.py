"""One tool server: on or off, a test that shows what it offers or why not, what its tools may do, and the way out."""

from concurrent.futures import CancelledError, Future

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from app.tools.listing import Listing
from app.tools.servers import ToolServer
from app.tools.toolbox import Toolbox
from ui.bridge import Bridge
from ui.plain import unmarked
from ui.settings.tool_rows import ToolRows
from ui.widgets.labels import button, label


class ServerRow(QWidget):
    switched = Signal(object, bool)  # ToolServer, whether it is on
    removed = Signal(object)  # ToolServer

    def __init__(self, server: ToolServer, toolbox: Toolbox, bridge: Bridge):
        super().__init__()
        self.server = server
        self._toolbox = toolbox
        self._bridge = bridge
        self._look: Future[Listing] | None = None
        self.box = QCheckBox(unmarked(server.name))
        self.box.setChecked(server.is_on)
        self.test = button("Test", name=f"Test {server.name}")
        self.remove = button("Remove", "small", f"Remove {server.name}")
        self.state = label("", "caption", wraps=True)
        self.state.hide()
        self.tools = ToolRows(toolbox)
        head = QHBoxLayout()
        head.addWidget(self.box, 1)
        head.addWidget(self.remove)
        head.addWidget(self.test)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        target = server.url or " ".join((server.command or "", *server.args))
        layout.addWidget(label(target, "caption", wraps=True))
        layout.addWidget(self.state)
        layout.addWidget(self.tools)

        self.box.toggled.connect(lambda is_on: self.switched.emit(server, is_on))
        self.remove.clicked.connect(lambda: self.removed.emit(server))
        self.test.clicked.connect(self._test_or_cancel)

    def _test_or_cancel(self) -> None:
        if self._look:
            self._look.cancel()
            return
        self._look = self._toolbox.look(self.server)
        self.test.setText("Cancel")
        self._tell("Starting it and asking what it offers…")
        self._look.add_done_callback(lambda done: self._bridge.tell(lambda: self._show(done)))

    def _show(self, done: "Future[Listing]") -> None:
        if done is not self._look:
            return
        self._look = None
        self.test.setText("Test")
        try:
            listing = done.result(0)
        except CancelledError:
            self._tell("Cancelled.")
            return
        except Exception as error:
            self._tell(str(error))
            return
        number = len(listing.tools)
        self._tell(" ".join((f"It offers {number} {'tool' if number == 1 else 'tools'}.", *listing.left_out)))
        self.tools.show_tools(self._toolbox.listed(self.server, listing))

    def _tell(self, sentence: str) -> None:
        self.state.setText(sentence)
        self.state.show()
