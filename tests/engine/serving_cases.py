"""Servers and clients that behave and misbehave: what both engines have to make of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from harness.record.models import Outcome

GRACE_S = 1.0

_CLEAN = "threading.Thread(target=server.shutdown).start()"
_SERVER = """\
import http.server, json, os, signal, sys, threading, time

def say(**fields):
    print(":::LMS " + json.dumps(fields), flush=True)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
{on_request}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({{"environ": dict(os.environ), "cwd": os.getcwd()}}).encode())

server = http.server.ThreadingHTTPServer(
    (os.environ["SERVER_HOST"], int(os.environ["SERVER_PORT"])), Handler
)

def stop(number, frame):
    print("asked to stop", flush=True)
{on_term}

signal.signal(signal.SIGTERM, stop)
print("loading", flush=True)
say(event="environment", python="3")
{ready}
server.serve_forever()
open(os.path.join(os.environ["OUTPUT_DIR"], "server"), "w").close()
say(event="done")
"""


def server(
    on_request: str = "pass",
    on_term: str = _CLEAN,
    ready: str = 'say(event="ready", port=server.server_address[1])',
) -> str:
    """A server's script; the arguments are statements of it."""
    return _SERVER.format(
        on_request=indent(dedent(on_request), " " * 8),
        on_term=indent(dedent(on_term), " " * 4),
        ready=dedent(ready),
    )


ASK = """
import json, os, sys, time, urllib.request
def ask():
    with urllib.request.urlopen(os.environ["SERVER_URL"] + "/", timeout=20) as answer:
        return json.loads(answer.read())
"""
CLIENT = (
    ASK
    + """
print(json.dumps({"server": ask(), "client": {"environ": dict(os.environ), "cwd": os.getcwd()}}))
open(os.path.join(os.environ["OUTPUT_DIR"], "client"), "w").close()
"""
)


@dataclass(frozen=True)
class Case:
    """What is run, and how it has to be told.

    Attributes:
        code: exit code; None where the harness stopped it.
        reason: part of it.
        asked: whether the server got a TERM.
        ready_s: the time that the server is given; None for the product's.
    """

    id: str
    outcome: Outcome
    code: int | None
    reason: str
    server: str = field(default_factory=server)
    client: str = ASK + "ask()"
    asked: bool = True
    ready_s: float | None = None
    changes: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case("good", Outcome.COMPLETED, 0, ""),
    Case(
        "ends before ready",
        Outcome.FAILED,
        3,
        "the server ended before it was ready: exit code 3",
        server=server(ready="sys.exit(3)"),
        asked=False,
    ),
    Case(
        "ends before ready as if all was well",
        Outcome.FAILED,
        0,
        "the server ended before it was ready: exit code 0",
        server=server(ready="sys.exit(0)"),
        asked=False,
    ),
    Case(
        "never ready",
        Outcome.TIMED_OUT,
        None,
        "the server was not ready: still running after 3 s",
        server=server(ready=""),
        ready_s=3.0,
    ),
    Case(
        "not ready before the deadline",
        Outcome.TIMED_OUT,
        None,
        "the server was not ready: still running after 4 s",
        server=server(ready=""),
        changes={"deadline_s": 4.0},
    ),
    Case(
        "ready where",
        Outcome.FAILED,
        None,
        "`ready` without a port",
        server=server(ready='say(event="ready", port=None)'),
    ),
    Case("client fails", Outcome.FAILED, 1, "client: exit code 1", client="raise SystemExit(1)"),
    Case(
        "both fail",
        Outcome.FAILED,
        2,
        "client: exit code 2; the server did not end with exit code 0 when it was stopped (TERM):"
        " exit code 5",
        server=server(on_term="os._exit(5)"),
        client="raise SystemExit(2)",
    ),
    Case(
        "client never ends",
        Outcome.TIMED_OUT,
        None,
        "client: still running after 6 s",
        client=ASK + "ask()\ntime.sleep(60)",
        changes={"deadline_s": 6.0},
    ),
    Case(
        "server dies while the client runs",
        Outcome.FAILED,
        4,
        "the server ended before it was stopped: exit code 4",
        server=server(on_request="os._exit(4)"),
        client=ASK + "try: ask()\nexcept Exception: time.sleep(60)",
        asked=False,
    ),
    Case(
        "server dies by a signal",
        Outcome.FAILED,
        139,
        "the server ended before it was stopped: ended by a signal",
        server=server(on_request="os.kill(os.getpid(), 11)"),
        client=ASK + "try: ask()\nexcept Exception: time.sleep(60)",
        asked=False,
    ),
    Case(
        "server ignores TERM",
        Outcome.FAILED,
        137,
        "the server was killed: it did not end when it was stopped (TERM)",
        server=server(on_term="pass"),
    ),
    Case(
        "server ends badly",
        Outcome.FAILED,
        5,
        "the server did not end with exit code 0 when it was stopped (TERM): exit code 5",
        server=server(on_term="os._exit(5)"),
    ),
    Case(
        "server knows no TERM",
        Outcome.FAILED,
        143,
        "the server did not end with exit code 0 when it was stopped (TERM): ended by a signal",
        server=server(on_term="signal.signal(15, signal.SIG_DFL); os.kill(os.getpid(), 15)"),
    ),
]


def check(case: Case, ended: Any, logs: Path) -> None:
    """Asserts what both engines owe; `logs` is the server's directory."""
    said = "\n".join(path.read_text() for path in sorted(logs.rglob("*.log")))
    assert (ended.outcome, ended.code) == (case.outcome, case.code), f"{ended.reason}\n{said}"
    assert case.reason in ended.reason
    assert "\n" not in ended.reason
    assert (ended.reason == "") == (case.outcome is Outcome.COMPLETED)
    assert ("asked to stop" in (logs / "stdout.log").read_text()) == case.asked


SHELL = """
import sys
from pathlib import Path
from harness.engine.protocol import Client, Environment, Launch
from harness.engine.docker.engine import DockerEngine
from harness.engine.venv.engine import VenvEngine
root, handle, run, name = Path(sys.argv[1]), *sys.argv[2:]
engine = DockerEngine() if name == "docker" else VenvEngine(root / "cache")
launch = Launch(
    key="shell", run_id=run, environment=Environment("f", handle), script="serve.py",
    variables={"LMS_PROVIDER": "off"}, scenarios=root / "scenarios", data=root / "data",
    input=None, output=root / "output", logs=root / "logs",
    client=Client("client.py", root / "gone", root / "gone"))
sys.exit(engine.shell(launch))
"""
