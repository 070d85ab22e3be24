"""Checkpoint, frozen graph and SavedModel, by the phases' scripts in the flavors' environments."""

from __future__ import annotations

import functools
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.catalog import catalog
from harness.record.checks import CheckId
from meters import session
from tests.scenarios.phases import FLAVORS, MUTATION, SCENARIOS, Ended, interpreter, run_phase

FAMILY = "tf_serialization"
ROW = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
# One TensorFlow of each kind; the other flavors differ in Keras, which takes no part.
PLAIN = [flavor for flavor in ("tf1-tfkeras", "tf2-tfkeras") if flavor in FLAVORS]
SHOWN = """
MetaGraphDef with tag-set: 'serve' contains the following SignatureDefs:

signature_def['__saved_model_init_op']:
  The given SavedModel SignatureDef contains the following output(s):
    outputs['__saved_model_init_op'] tensor_info:
        dtype: DT_INVALID
        shape: unknown_rank
        name: NoOp
  Method name is: 

signature_def['serving_default']:
  The given SavedModel SignatureDef contains the following input(s):
    inputs['x'] tensor_info:
        dtype: DT_FLOAT
        shape: (-1, 10)
        name: in:0
  The given SavedModel SignatureDef contains the following output(s):
    outputs['y'] tensor_info:
        dtype: DT_BOOL
        shape: (-1, 1)
        name: out:0
  Method name is: tensorflow/serving/predict
The MetaGraph with tag set ['serve'] contains the following ops: {'Const'}
"""  # noqa: W291


def phase(
    flavor: str, name: str, directory: Path, source: Ended | None = None, **more: str
) -> Ended:
    more = {"EXECUTION_MODE": "session", **more}
    ended = run_phase(flavor, f"{FAMILY}/{name}", directory, source, **more)
    assert ended.code == 0, ended.log
    assert ended.markers[-1]["event"] == "done"
    assert MUTATION not in ended.log
    for claim in ended.of("claim"):
        assert claim["found"] == claim["expected"], claim
    return ended


def losses(ended: Ended) -> list[float]:
    return [marker["value"] for marker in ended.of("metric", name="loss")]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ended]:
    """The phase that trains and saves a checkpoint, run once a flavor."""

    @functools.cache
    def save(flavor: str) -> Ended:
        return phase(flavor, "checkpoint_save", tmp_path_factory.mktemp(flavor) / "save")

    return save


@pytest.fixture(scope="module")
def frozen(
    checkpoint: Callable[[str], Ended], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Ended]:
    """The phase that freezes the checkpoint, run once a flavor."""

    @functools.cache
    def freeze(flavor: str) -> Ended:
        directory = tmp_path_factory.mktemp(flavor) / "freeze"
        return phase(flavor, "freezemodel_save", directory, checkpoint(flavor))

    return freeze


def test_family_runs_in_sessions_and_no_script_is_left_over() -> None:
    scenarios = catalog.load(SCENARIOS.parent).select(families=[FAMILY]).scenarios
    assert [scenario.id for scenario in scenarios] == [
        "checkpoint_save-checkpoint_restore",
        "checkpoint_save-checkpoint_resume",
        "freezemodel_save-freezemodel_load",
        "freezemodel_save-freezemodel_serve",
        "savedmodel_from_source",
        "savedmodel_from_checkpoint",
        "savedmodel_from_frozen",
        "savedmodel_pretrained",
    ]
    used = {
        script
        for scenario in scenarios
        for phase in scenario.phase
        for script in (phase.script, phase.client)
    }
    used |= {scenario.straight.script for scenario in scenarios if scenario.straight is not None}
    runnable = {
        path.name
        for path in (SCENARIOS / "families" / FAMILY).glob("*.py")
        if "__main__" in path.read_text()
    }
    assert used - {None} == runnable
    for scenario in scenarios:
        assert scenario.mode == "session"
        assert scenario.requires == ("keras", "plain_graph")
        assert {"weights", "predictions"} <= set(scenario.restores)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", PLAIN)
def test_checkpoint_is_restored_and_swapped(
    flavor: str, checkpoint: Callable[[str], Ended], tmp_path: Path
) -> None:
    saved = checkpoint(flavor)
    loaded = phase(flavor, "checkpoint_restore", tmp_path / "load", saved)
    assert loaded.digests("restored").items() <= saved.digests("saved").items()
    trace = loaded.one("trace", function="predict")
    assert trace["swap_in"] > 0
    # Two digests, and what the meter runs.
    assert 2 + 3 <= trace["steps"] <= 2 + 3 + session._REPETITIONS

    resumed = phase(flavor, "checkpoint_resume", tmp_path / "resume", saved)
    control = phase(flavor, "checkpoint_resume", tmp_path / "control", saved, LMS_PROVIDER="off")
    assert set(saved.digests("saved")) == {"weights", "optimizer", "predictions"}
    assert resumed.digests("restored") == saved.digests("saved")
    assert resumed.digests("final") != saved.digests("final")
    # TensorFlow fuses other operations where swaps are between them: equal but for rounding.
    assert losses(resumed) == pytest.approx(losses(control), rel=1e-5)
    swapped, plain = resumed.one("trace"), control.one("trace")
    assert swapped["swap_out"] > 0
    assert plain["swap_out"] == 0  # the saved meta graph has no swap operations
    assert swapped["peak_accelerator"] < 0.9 * plain["peak_accelerator"]


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", PLAIN)
def test_frozen_graph_is_the_model_and_the_canaries_are_not(
    flavor: str, checkpoint: Callable[[str], Ended], frozen: Callable[[str], Ended], tmp_path: Path
) -> None:
    saved = checkpoint(flavor)
    before = saved.one("digest", of="predictions", stage="saved")["values"]

    def load(name: str, source: Ended) -> tuple[bool, float]:
        """Whether the weights are equal, and the largest difference of a prediction."""
        ended = run_phase(
            flavor, f"{FAMILY}/freezemodel_load", tmp_path / name, source, EXECUTION_MODE="session"
        )
        assert ended.code == 0, ended.log
        assert ended.one("trace", function="predict")["swap_in"] > 0
        after = ended.one("digest", of="predictions", stage="restored")["values"]
        weights = ended.digests("restored")["weights"] == saved.digests("saved")["weights"]
        return weights, max(abs(a - b) for a, b in zip(after, before, strict=True))

    weights, difference = load("sound", frozen(flavor))
    assert weights
    assert difference < 1e-6

    def canary(name: str) -> Ended:
        return run_phase(flavor, f"canary/{name}", tmp_path / name, saved, EXECUTION_MODE="session")

    weights, difference = load("changed", canary("serialization_changed_weight"))
    assert not weights
    assert difference > 1e-4
    weights, difference = load("training", canary("serialization_frozen_in_training"))
    assert weights
    assert difference > 1e-4


def test_canaries_expect_what_they_break() -> None:
    scenarios = catalog.load(SCENARIOS.parent).select(families=["canary"]).scenarios
    ours = {s.id: s.expects for s in scenarios if s.id.startswith("serialization_")}
    assert ours == {
        "serialization_changed_weight": CheckId.STATE_RESTORED,
        "serialization_frozen_in_training": CheckId.STATE_RESTORED,
    }


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("flavor", PLAIN)
def test_saved_model_of_each_origin(
    flavor: str, checkpoint: Callable[[str], Ended], frozen: Callable[[str], Ended], tmp_path: Path
) -> None:
    saved = checkpoint(flavor)
    source = phase(flavor, "savedmodel_from_source", tmp_path / "source", saved)
    resumed = phase(flavor, "savedmodel_resume", tmp_path / "resume", source)
    assert resumed.digests("restored") == saved.digests("saved")
    assert resumed.one("trace", function="train")["swap_in"] > 0

    inspected = phase(flavor, "savedmodel_cli", tmp_path / "cli", source)
    assert len(inspected.of("claim")) == 9
    files = {path.name for path in (inspected.output / "savedmodel").iterdir()}
    assert files == {"saved_model.pb", "variables"}

    constant = phase(flavor, "savedmodel_from_frozen", tmp_path / "frozen", frozen(flavor))
    loaded = phase(flavor, "savedmodel_load", tmp_path / "load", constant)
    assert loaded.digests("restored")["weights"] == saved.digests("saved")["weights"]
    assert loaded.one("lms_edited")["swap_out"] > 0


@pytest.mark.slow
@pytest.mark.tensorflow
def test_pretrained_model_is_that_of_the_data_directory(
    checkpoint: Callable[[str], Ended], frozen: Callable[[str], Ended], tmp_path: Path
) -> None:
    flavor = PLAIN[0]
    earlier = phase(flavor, "savedmodel_from_source", tmp_path / "source", checkpoint(flavor))
    given = phase(flavor, "savedmodel_from_frozen", tmp_path / "frozen", frozen(flavor))
    data = given.output.rename(tmp_path / "data")
    reference = phase(
        flavor,
        "savedmodel_pretrained_reference",
        tmp_path / "reference",
        earlier,
        DATA_DIR=str(data),
        PRETRAINED_MODEL="savedmodel",
    )
    # The given one is frozen.
    assert reference.one("digest", of="weights")["tensors"] == 0
    assert set(reference.one("digest", of="predictions")["values"]) == {0.0, 1.0}
    loaded = phase(flavor, "savedmodel_pretrained", tmp_path / "load", reference)
    assert loaded.digests("restored") == reference.digests("saved")
    assert 1 + 2 <= loaded.one("trace")["steps"] <= 1 + 2 + session._REPETITIONS

    missing = run_phase(
        flavor,
        f"{FAMILY}/savedmodel_pretrained_reference",
        tmp_path / "missing",
        earlier,
        DATA_DIR=str(data),
        PRETRAINED_MODEL="other",
    )
    assert missing.code == 3
    assert "Traceback" not in missing.log
    assert "error: PRETRAINED_MODEL is 'other'; DATA_DIR has no SavedModel there" in missing.log


def test_printed_signature_and_result_are_read() -> None:
    from families.tf_serialization import cli

    assert cli.signature(SHOWN) == {
        ("inputs", "x", "dtype"): "DT_FLOAT",
        ("inputs", "x", "shape"): "(-1, 10)",
        ("inputs", "x", "name"): "in:0",
        ("outputs", "y", "dtype"): "DT_BOOL",
        ("outputs", "y", "shape"): "(-1, 1)",
        ("outputs", "y", "name"): "out:0",
        "method": "tensorflow/serving/predict",
    }
    assert cli.signature(SHOWN, "other") == {}
    assert cli.result("noise\nResult for output key y:\n[[False]\n [ True]]\n", "y") == (
        "[[False] [ True]]"
    )
    assert cli.result("Result for output key y:\n1\n", "z") is None


SERVER = textwrap.dedent(
    """
    from common import marker
    from families.tf_serialization import serving

    def predict(rows):
        if rows[0, 0] == 7:
            raise RuntimeError("the model is broken")
        return {"y": (rows.std(axis=1, keepdims=True) < 1).tolist()}

    serving.serve({"/api/predict": predict})
    marker.emit("done")
    """
)


class Server:
    """A process that serves a model of numpy, and what it printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        ready = process.stdout.readline()
        self.port = int(re.findall(r':::LMS .*"port": (\d+)', ready)[0])

    def exchange(self, data: bytes) -> bytes:
        """What comes back for these bytes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=10)
        return output


@pytest.fixture
def server() -> Iterator[Server]:
    process = subprocess.Popen(
        [interpreter(PLAIN[0]), "-c", SERVER],
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(SCENARIOS),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SERVER_HOST": "127.0.0.1",
            "SERVER_PORT": "0",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Server(process)
    finally:
        process.kill()
        process.communicate()


def test_server_outlives_hostile_requests_and_stops_cleanly(server: Server) -> None:
    good = json.dumps({"x": [ROW, [5] * 10]}).encode()
    assert server.ask("POST", "/api/predict", good) == (200, '{"y": [[false], [true]]}')
    for body in (b"", b"{", b"\xff", b"[]", b'{"x": 1}', b'{"x": [[1]]}', b"[" * 10**5):
        status, text = server.ask("POST", "/api/predict", body)
        assert status == 400
        assert set(json.loads(text)) == {"error"}
    for value in ("true", "null", '"1"', "NaN", "-Infinity", "1e39", "1" + "0" * 400, "[1]"):
        body = b'{"x": [[1,2,3,4,5,6,7,8,9,%s]]}' % value.encode()
        assert server.ask("POST", "/api/predict", body)[0] == 400, value
    assert server.ask("POST", "/api/predict", b" " * (3 << 20))[0] == 413
    assert server.ask("POST", "/other", good)[0] == 404
    assert server.ask("GET", "/api/predict")[0] == 405
    assert server.ask("HEAD", "/api/predict") == (405, "")
    assert server.ask("BREW", "/api/predict")[0] == 501
    assert server.ask("POST", "/api/predict", json.dumps({"x": [[7] * 10]}).encode())[0] == 500

    forged = b':::LMS {"event": "done"}'
    assert b"bad request" in server.exchange(b"POST / " + forged + b"\r\n\r\n")
    server.exchange(b"GET /" + forged.replace(b" ", b"") + b" HTTP/1.0\r\n\r\n")
    server.exchange(b"POST /api/predict HTTP/1.0\r\nContent-Length: 99\r\n\r\n{")
    server.exchange(b"POST /api/predict HTTP/1.0\r\nContent-Length: -1\r\n\r\n{")
    server.exchange(b"\x00\xff\r\n\r\n")
    idle = socket.create_connection(("127.0.0.1", server.port))

    assert server.ask("POST", "/api/predict", good)[0] == 200
    output = server.stop()
    idle.close()
    assert server.process.returncode == 0, output
    assert "Traceback" not in output
    markers = [line.partition(":::LMS ")[2] for line in output.splitlines() if ":::LMS" in line]
    assert [json.loads(marker)["event"] for marker in markers] == ["done"]


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "SERVER_HOST is not set"),
        ({"SERVER_HOST": "127.0.0.1"}, "SERVER_PORT is ''"),
        ({"SERVER_HOST": "127.0.0.1", "SERVER_PORT": "70000"}, "SERVER_PORT is '70000'"),
        ({"SERVER_HOST": "192.0.2.1", "SERVER_PORT": "0"}, "cannot listen at 192.0.2.1"),
    ],
)
def test_wrong_address_is_one_line(variables: dict[str, str], reason: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SERVER],
        env={"PYTHONPATH": str(SCENARIOS), "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {reason}")
    assert ended.stderr.count("\n") == 1
