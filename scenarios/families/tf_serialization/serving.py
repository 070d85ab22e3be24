"""A model over HTTP: JSON requests in, JSON answers out, one line for a bad one.

POST /api/predict `{"x": [[ten numbers], ...]}` gives `{"y": [[false], ...]}`; POST /api/scores
gives `{"scores": [[0.25], ...]}`, the numbers that the answers are made of. A bad request is
answered with a status and `{"error": "one line"}`. Nothing that a client sends gets into the log:
marker lines are read from there.
"""

import json
import math
import os
import re
import signal
import socketserver
import sys
import threading
import typing
from http.server import BaseHTTPRequestHandler, HTTPServer

from common import marker
from common.errors import refuse
from families.tf_serialization.classifier import FEATURES

LIMIT = 1 << 20  # bytes of a request's body
# What is read and thrown away of a body that was refused unread: a client that is still sending
# when the connection is closed does not see the answer.
_DISCARDED = 16 * LIMIT
_DISCARD_SECONDS = 0.5
_SECONDS = 10  # until a client that says nothing is left
_POLL_SECONDS = 0.05
_TEXTS = {400: "bad request", 404: "no such path", 405: "only POST is allowed here"}


# What is answered: JSON values.
Answer = typing.Dict[str, typing.Any]
Routes = typing.Dict[str, typing.Callable[[typing.Any], Answer]]


class BadRequestError(ValueError):
    """What a client sent cannot be answered; the text is one line, none of it the client's."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def rows(body: bytes) -> typing.Any:
    """The rows of a request: float32 [n, 10], n at least 1, of the bytes of a JSON object.

    Raises BadRequestError.
    """
    import numpy as np

    if not body:
        raise BadRequestError("the request has no body")
    try:
        content = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise BadRequestError("the body is not JSON")
    if not isinstance(content, dict) or "x" not in content:
        raise BadRequestError("the body has to be a JSON object with x")
    x = content["x"]
    if not isinstance(x, list) or not x:
        raise BadRequestError("x has to be a list of at least one row")
    if not all(isinstance(row, list) and len(row) == FEATURES for row in x):
        raise BadRequestError(f"each row of x has to be a list of {FEATURES} numbers")
    if not all(_is_finite(value) for row in x for value in row):
        raise BadRequestError("x has to hold finite numbers only")
    with np.errstate(over="ignore"):
        values = np.asarray([[float(value) for value in row] for row in x]).astype(np.float32)
    if not np.isfinite(values).all():
        raise BadRequestError("x has a number that is too large")
    return values


def serve(routes: Routes) -> None:
    """Answers requests until SIGTERM; says `ready` when connections are accepted.

    routes: path → function of float32 [n, 10] that returns the answer, a dict of JSON values. It
        is called from several threads.

    Reads SERVER_HOST and SERVER_PORT; where it cannot listen there, the phase ends with exit code
    2 and one line.
    """
    server = _listen(*_address())
    server.routes = routes

    def stop(number: int, frame: typing.Any) -> None:
        # `shutdown` waits for the loop, which this interrupts.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    marker.emit("ready", port=server.server_address[1])
    try:
        server.serve_forever(poll_interval=_POLL_SECONDS)
    finally:
        server.server_close()


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
    routes: Routes = {}

    def server_bind(self) -> None:
        # That of HTTPServer asks for the host's full name, and there is no network to ask.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: typing.Any, client_address: typing.Any) -> None:
        # Most often the client went away. What it sent is in the traceback.
        kind, _, _ = sys.exc_info()
        _log(f"a connection broke: {getattr(kind, '__name__', kind)}")


class _Handler(BaseHTTPRequestHandler):
    timeout = _SECONDS
    server: _Server

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        try:
            body = self._body()
        except BadRequestError as refusal:
            self._answer(refusal.status, {"error": str(refusal)})
            self._discard()
            return
        try:
            if path not in self.server.routes:
                raise BadRequestError(_TEXTS[404], status=404)
            answer = self.server.routes[path](rows(body))
        except BadRequestError as refusal:
            self._answer(refusal.status, {"error": str(refusal)})
        except Exception as error:
            _log(f"the model failed: {type(error).__name__}")
            self._answer(500, {"error": "the model failed"})
        else:
            self._answer(200, answer)

    def do_GET(self) -> None:
        known = self.path.partition("?")[0] in self.server.routes
        status = 405 if known else 404
        self._answer(status, {"error": _TEXTS[status]})

    do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815

    def send_error(
        self,
        code: int,
        message: typing.Optional[str] = None,
        explain: typing.Optional[str] = None,
    ) -> None:
        """Called by the base class for what it cannot read; its own text repeats the request."""
        self.close_connection = True
        self._answer(code, {"error": _TEXTS.get(code, "the request was refused")})

    def log_message(self, format: str, *args: typing.Any) -> None:
        """Called by the base class, with pieces of the request."""

    def log_request(
        self, code: typing.Union[int, str] = "-", size: typing.Union[int, str] = "-"
    ) -> None:
        path = (getattr(self, "path", None) or "").partition("?")[0]
        known = path if path in self.server.routes else "another path"
        _log(f"request to {known}: {int(code)}")

    def _body(self) -> bytes:
        declared = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not re.match(r"[0-9]{1,15}$", declared):
            raise BadRequestError("the request has to declare its Content-Length")
        length = int(declared)
        if length > LIMIT:
            raise BadRequestError(f"the body is larger than {LIMIT} bytes", status=413)
        return self.rfile.read(length)

    def _discard(self) -> None:
        self.connection.settimeout(_DISCARD_SECONDS)
        left = _DISCARDED
        try:
            while left > 0:
                data = self.connection.recv(1 << 16)
                if not data:
                    return
                left -= len(data)
        except OSError:  # it sends nothing more, or has gone
            pass

    def _answer(self, status: int, content: Answer) -> None:
        data = json.dumps(content).encode("ascii")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 405:
            self.send_header("Allow", "POST")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _is_finite(value: typing.Any) -> bool:
    # True is an int to Python, and no number to JSON.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond any float
        return False


def _address() -> typing.Tuple[str, int]:
    host, port = os.environ.get("SERVER_HOST", ""), os.environ.get("SERVER_PORT", "")
    if not host:
        refuse("SERVER_HOST is not set; it must be the address to listen at")
    if not re.match(r"[0-9]{1,5}$", port) or int(port) > 65535:
        refuse(f"SERVER_PORT is {port!r}; it must be a port, or 0 for any")
    return host, int(port)


def _listen(host: str, port: int) -> _Server:
    try:
        return _Server((host, port), _Handler)
    except OSError as error:
        refuse(f"cannot listen at {host} port {port}: {error}")


def _log(text: str) -> None:
    # One write: several threads log, and a marker has its own line.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
