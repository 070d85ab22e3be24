from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from harness.base.error import HarnessError, UsageError
from harness.run import data
from tests.base.test_plain_file import KINDS, other_than_a_file

CONTENT = b"images" * 1000


@pytest.fixture
def source(monkeypatch):
    """A server on this machine that plays the data set's source; counts requests."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_response(200 if self.path == "/set.npz" else 404)
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


def entry(url: str, digest: str | None = None) -> data.DataSet:
    return data.DataSet("Set", "set.npz", url, digest or hashlib.sha256(CONTENT).hexdigest())


def test_downloads_once(tmp_path, monkeypatch, source):
    url, requests = source
    monkeypatch.setattr(data, "DATA_SETS", (entry(f"{url}/set.npz"),))
    assert list(data.download(tmp_path)) == ["Set: downloaded, digest correct (set.npz)"]
    assert list(data.download(tmp_path)) == ["Set: there, digest correct (set.npz)"]
    assert len(requests) == 1
    assert (tmp_path / "set.npz").read_bytes() == CONTENT
    assert data.present(tmp_path) == {"Set": True}


def test_a_wrong_digest_is_not_kept(tmp_path, monkeypatch, source):
    url, _ = source
    monkeypatch.setattr(data, "DATA_SETS", (entry(f"{url}/set.npz", "0" * 64),))
    with pytest.raises(HarnessError, match="expected 0000"):
        list(data.download(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_downloaded_again(tmp_path, monkeypatch, source):
    url, _ = source
    monkeypatch.setattr(data, "DATA_SETS", (entry(f"{url}/set.npz"),))
    (tmp_path / "set.npz").write_bytes(b"half")
    list(data.download(tmp_path))
    assert (tmp_path / "set.npz").read_bytes() == CONTENT


@pytest.mark.parametrize("path", ["/gone", None])
def test_no_network_says_where_to_put_the_file(tmp_path, monkeypatch, source, path):
    url, _ = source
    address = f"{url}{path}" if path else "http://127.0.0.1:9/set.npz"
    monkeypatch.setattr(data, "DATA_SETS", (entry(address),))
    with pytest.raises(HarnessError, match=r"put the file at .*set\.npz yourself"):
        list(data.download(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"x", b"x" * len(CONTENT)])
def test_data_that_is_not_what_was_published_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.setattr(data, "DATA_SETS", (entry("https://nowhere/set.npz"),))
    data.require_intact(tmp_path)
    data.require_intact(tmp_path / "none")
    (tmp_path / "set.npz").write_bytes(CONTENT)
    data.require_intact(tmp_path)
    (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(UsageError, match=r"set\.npz: Set is damaged, or another file"):
        data.require_intact(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_data_that_is_no_file_is_refused(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(data, "DATA_SETS", (entry("https://nowhere/set.npz"),))
    other_than_a_file(tmp_path / "set.npz", kind)
    with pytest.raises(UsageError, match=r"set\.npz: Set cannot be read: "):
        data.require_intact(tmp_path)
