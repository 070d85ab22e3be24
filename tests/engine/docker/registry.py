"""A container registry of one small image, on this machine's loopback address, which daemons trust.

https://distribution.github.io/distribution/spec/api/
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """What is served: `tags` name manifests, and `manifests` and `blobs` are by digest.

    Attributes:
        stalled: set when a layer is asked for that never comes.
    """

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.stall = False
        self.stalled, self.closed = threading.Event(), threading.Event()
        self.address = ""

    def push(self, tag: str, content: str) -> str:
        """Makes an image with one file, gives it a tag, and returns its digest."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            entry = tarfile.TarInfo("file")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode()))
        packed = gzip.compress(layer.getvalue())
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [digest(layer.getvalue())]},
            }
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "size": len(config),
                    "digest": digest(config),
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                        "size": len(packed),
                        "digest": digest(packed),
                    }
                ],
            }
        ).encode()
        self.blobs |= {digest(config): config, digest(packed): packed}
        self.manifests[digest(manifest)] = manifest
        self.tags[tag] = digest(manifest)
        return self.tags[tag]


@contextlib.contextmanager
def serving() -> Iterator[Registry]:
    """A registry that answers."""
    registry = Registry()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            kind, _, name = self.path.removeprefix("/v2/").rpartition("/")
            registry.asked.append(self.path)
            kind = kind.rpartition("/")[2]
            if self.path == "/v2/":
                self._answer(b"{}", "application/json")
            elif kind == "manifests":
                manifest = registry.manifests.get(registry.tags.get(name, name))
                self._answer(manifest, MANIFEST)
            else:
                if registry.stall:
                    registry.stalled.set()
                    registry.closed.wait(60)
                self._answer(registry.blobs.get(name), "application/octet-stream")

        def _answer(self, body: bytes | None, kind: str) -> None:
            self.send_response(404 if body is None else 200)
            if body is None:
                error = {"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}
                body, kind = json.dumps({"errors": [error]}).encode(), "application/json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", digest(body))
            self.end_headers()
            if self.command == "GET":
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    registry.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        registry.closed.set()
        server.shutdown()
        server.server_close()
        thread.join()
