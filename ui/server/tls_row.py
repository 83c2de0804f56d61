"""Whether the port is encrypted, and with which certificate."""

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from ui.server.server_desk import ServerDesk
from ui.widgets.labels import button, label

OFF = "Off. Others on the network can read keys, prompts and answers."


class TlsRow(QWidget):
    def __init__(self, server: ServerDesk):
        super().__init__()
        self._server = server
        self.status = label("", "caption", wraps=True)
        self.choose = button("Choose files…", name="Choose certificate and key")
        self.turn_off = button("Turn off", name="Turn off TLS")
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(label("TLS", "strong"))
        texts.addWidget(self.status)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addLayout(texts, 1)
        row.addWidget(self.choose)
        row.addWidget(self.turn_off)

        self.choose.clicked.connect(self._choose)
        self.turn_off.clicked.connect(server.stop_encrypting)

    def refresh(self) -> None:
        certificate = self._server.settings.tls_cert
        self.status.setText(f"On, with {Path(certificate).name}." if certificate else OFF)
        self.turn_off.setVisible(bool(certificate))
        self.choose.setVisible(not certificate)

    def _choose(self) -> None:
        certificate, _ = QFileDialog.getOpenFileName(self, "The certificate (PEM)")
        if not certificate:
            return
        key, _ = QFileDialog.getOpenFileName(self, "Its key (PEM, without a password)", str(Path(certificate).parent))
        if key:
            self._server.encrypt(certificate, key)
