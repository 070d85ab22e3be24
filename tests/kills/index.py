"""A package index on this machine that takes its time, and has a password in its address."""

from __future__ import annotations

import contextlib
import hashlib
import io
import secrets
import threading
import time
import zipfile
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

_PIECES, _PAUSE_S = 8, 0.08  # of a wheel: a build has to last for a kill to find it
_PAYLOAD = 2**20


class Wheel:
    """A wheel without code: another file, and another digest, for each number."""

    def __init__(self, name: str, number: int) -> None:
        stem = name.replace("-", "_")
        self.name, self.file = name, f"{stem}-{number}-py3-none-any.whl"
        information = f"{stem}-{number}.dist-info"
        files = {
            f"{stem}.bin": (f"{number} ".encode() * _PAYLOAD)[:_PAYLOAD],
            f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\n"
            f"Version: {number}\n".encode(),
            f"{information}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\n"
            b"Root-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{path},,\n" for path in (*files, f"{information}/RECORD"))
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as stream:
            for path, content in {**files, f"{information}/RECORD": record.encode()}.items():
                stream.writestr(zipfile.ZipInfo(path), content)
        self.content = archive.getvalue()
        self.requirement = f"{name}=={number} --hash=sha256:{self._digest}"

    @property
    def link(self) -> str:
        """Its line in the index."""
        return f'<a href="/files/{self.file}#sha256={self._digest}">{self.file}</a>'

    @property
    def _digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class Index:
    """The index, as a context manager.

    Attributes:
        password: part of its address that must be nowhere once a build is over.
    """

    def __init__(self) -> None:
        """Listens on this thread's network."""
        self.password = secrets.token_hex(12)
        self._wheels: dict[str, Wheel] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """Its URL with a user and the password."""
        return f"http://soak:{self.password}@127.0.0.1:{self._server.server_port}/simple/"

    def serve(self, wheels: Iterable[Wheel]) -> None:
        """Offers these, in place of all that were offered before."""
        self._wheels = {wheel.file: wheel for wheel in wheels}

    def __enter__(self) -> Index:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _, place, name, *_ = [*self.path.split("/"), "", ""]
                if place == "files" and name in index._wheels:
                    self._answer(index._wheels[name].content, "application/octet-stream", _PAUSE_S)
                elif place == "simple":
                    found = [wheel.link for wheel in index._wheels.values() if wheel.name == name]
                    self._answer("\n".join(found).encode(), "text/html", 0.0)
                else:
                    self.send_error(404)

            def _answer(self, content: bytes, kind: str, pause_s: float) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                size = len(content) // _PIECES + 1
                for start in range(0, len(content), size):
                    time.sleep(pause_s)
                    self.wfile.write(content[start : start + size])

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # who asked was killed
                    super().handle()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        return Handler
