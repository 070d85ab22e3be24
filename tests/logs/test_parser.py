from __future__ import annotations

import hashlib
import io
import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.logs import kept, lines
from harness.logs.parser import parse
from harness.record.facts import LogFacts
from tests.paths import RESOURCES

LOGS = RESOURCES / "logs"
SHA = hashlib.sha256(b"weights").hexdigest()
WARNING = (
    "2024-05-01 10:00:00.000001: W tensorflow/c/c_api.cc:326] Operation '{{name:'{name}' id:5 op"
    " device:{{}} def:{{{{{{node {name}}}}}}} = {type}[T=DT_FLOAT]({inputs})}}' was changed by"
    " {form} after it was run by a session. This mutation will have no effect, and will trigger an"
    " error in the future. Either don't modify nodes after running them or create a new session.\n"
)


def mark(event: str, **fields: Any) -> bytes:
    return b":::LMS " + json.dumps({"event": event, **fields}).encode() + b"\n"


def warning(
    name: str,
    operation_type: str = "Identity",
    inputs: str = "a, b",
    form: str = "updating input tensor",
) -> bytes:
    return WARNING.format(name=name, type=operation_type, inputs=inputs, form=form).encode()


def kinds(facts: LogFacts) -> list[str]:
    return [problem.kind for problem in facts.problems]


class TestMarkers:
    def test_every_event(self) -> None:
        facts = parse(
            mark("environment", versions={"tensorflow": "1.15.5"}, devices=["CPU:1"], python="3.7"),
            mark(
                "lms_edited",
                provider="builtin",
                operations=70,
                swap_out=33,
                swap_in=37,
                bytes_out=100,
                bytes_in=None,
                ms=52.5,
            ),
            mark("metric", name="loss", value=0.25, epoch=1, split="train"),
            mark("digest", of="weights", stage="saved", sha256=SHA, tensors=8, bytes=4096),
            mark(
                "digest", of="predictions", stage="final", sha256=SHA.upper(), values=[0.5, 1, 2e-3]
            ),
            mark("trace", function="train", meter="allocations", swap_out=33, step_ms=12),
            mark("claim", text="files in variables", expected=0, found=0),
            mark("claim", text="answer", expected="[[False]]", found="\x1b[31m[[True]]"),
            mark("ready", port=5000),
            mark("note", text="data: digits"),
            mark("done"),
        )
        assert facts.markers == 11
        assert [(claim.expected, claim.found) for claim in facts.claims] == [
            (0, 0),
            ("[[False]]", "[[True]]"),
        ]
        assert facts.done
        assert facts.problems == []
        assert facts.environment == {
            "versions": {"tensorflow": "1.15.5"},
            "devices": ["CPU:1"],
            "python": "3.7",
        }
        (edit,) = facts.edits
        assert (edit.source, edit.provider, edit.operations) == ("marker", "builtin", 70)
        assert (edit.swap_out, edit.swap_in, edit.bytes_out, edit.bytes_in) == (33, 37, 100, None)
        assert edit.milliseconds == 52.5
        assert edit.text.startswith(':::LMS {"event": "lms_edited"')
        (metric,) = facts.metrics
        assert (metric.name, metric.value, metric.epoch, metric.split) == ("loss", 0.25, 1, "train")
        weights, predictions = facts.digests
        assert (weights.tensors, weights.bytes, weights.line) == (8, 4096, 4)
        assert predictions.values == [0.5, 1.0, 2e-3]
        assert predictions.sha256 == SHA
        (trace,) = facts.traces
        assert (trace.swap_out, trace.swap_in, trace.step_ms) == (33, None, 12.0)
        assert facts.notes == ["data: digits"]

    @pytest.mark.parametrize(
        "line",
        [
            b":::LMS \n",
            b":::LMS {\n",
            b":::LMS []\n",
            b":::LMS null\n",
            b":::LMS {}\n",
            b':::LMS {"event": 3}\n',
            b':::LMS {"event": ["done"]}\n',
            b':::LMS {"event": "unheard_of"}\n',
            b':::LMS {"event": "done"\n',
            b':::LMS {"event": "done\xff"}\n',
            b":::LMS " + b'{"a":' * 100_000 + b"\n",
            b":::LMS " + b"[" * 100_000 + b"\n",
            b':::LMS {"event": "trace", "function": "train", "swap_out": ' + b"9" * 5000 + b"}\n",
            mark("lms_edited", swap_out=1),
            mark("lms_edited", swap_out=None, swap_in=None),
            mark("lms_edited", swap_out=-1, swap_in=1),
            mark("lms_edited", swap_out=True, swap_in=1),
            mark("lms_edited", swap_out="3", swap_in=1),
            mark("lms_edited", swap_out=1.5, swap_in=1),
            mark("lms_edited", swap_out=2**63, swap_in=1),
            mark("lms_edited", swap_out=1, swap_in=1, ms="soon"),
            mark("lms_edited", swap_out=1, swap_in=1, ms=float("inf")),
            mark("metric", name="loss"),
            mark("metric", name="", value=1),
            mark("metric", name=1, value=1),
            mark("metric", name="loss", value="low"),
            mark("metric", name="loss", value=1, epoch="first"),
            mark("digest", of="bias", stage="saved", sha256=SHA),
            mark("digest", of=["weights"], stage="saved", sha256=SHA),
            mark("digest", of="weights", stage="later", sha256=SHA),
            mark("digest", of="weights", stage="saved", sha256="abc"),
            mark("digest", of="predictions", stage="saved", sha256=SHA, values="none"),
            mark("digest", of="predictions", stage="saved", sha256=SHA, values=[[1]]),
            mark("trace", function="both"),
            mark("trace", function="train", peak_accelerator=float("nan")),
            mark("note", text=3),
            mark("claim", text="", expected=1, found=1),
            mark("claim", text="files", found=1),
            mark("claim", text="files", expected=float("nan"), found=1),
            mark("claim", text="files", expected=[1], found=[1]),
            mark("ready"),
            mark("ready", port=0),
            mark("ready", port="5000"),
        ],
    )
    def test_malformed(self, line: bytes) -> None:
        facts = parse(b"hello\n" + line + mark("done"))
        assert kinds(facts) == ["malformed_marker"]
        assert facts.problems[0].line == 2
        assert facts.done
        facts.model_dump_json()

    @pytest.mark.parametrize(
        "value", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b'"nan"', b"null"]
    )
    def test_loss_that_is_no_number(self, value: bytes) -> None:
        facts = parse(b':::LMS {"event": "metric", "name": "val_loss", "value": ' + value + b"}")
        assert kinds(facts) == ["nan_loss"]
        assert facts.metrics[0].value is None

    def test_predictions_that_are_no_numbers(self) -> None:
        facts = parse(
            mark("digest", of="predictions", stage="saved", sha256=SHA, values=[1, float("nan")]),
            mark("digest", of="predictions", stage="final", sha256=SHA, values=[1, None]),
        )
        assert kinds(facts) == ["nan_loss", "nan_loss"]
        assert [entry.values for entry in facts.digests] == [None, None]

    def test_anything_before_the_prefix_and_after_the_object(self) -> None:
        facts = parse(
            b"\r 3/12 [==>..]\x1b[0m 2024 stdout F " + mark("done").rstrip() + b" \x1b[0m\r\n"
        )
        assert facts.done
        assert facts.problems == []

    def test_two_on_a_line(self) -> None:
        facts = parse(mark("note", text="a").rstrip() + mark("note", text="b"))
        assert facts.notes == ["a", "b"]
        assert facts.markers == 2

    def test_text_is_made_safe(self) -> None:
        facts = parse(
            b':::LMS {"event": "note", "text": "a\\u001b[31mred\\u001b[0m\\u0000\\ud800 b"}\n'
        )
        assert facts.notes == ["ared\ufffd\ufffd b"]
        facts.model_dump_json().encode()

    def test_words_of_a_note_are_no_problem(self) -> None:
        facts = parse(mark("note", text="CUDA out of memory, loss: nan, [LMS][0] Added 1 ops into"))
        assert facts.problems == []

    def test_environment_is_bounded(self) -> None:
        versions = {f"package-{n}": "1" * 1_000 for n in range(500)}
        facts = parse(mark("environment", versions=versions, devices=[[["deep"]]], other="x"))
        assert len(facts.environment["versions"]) == 200
        assert facts.environment["devices"] == [[None]]
        assert "other" not in facts.environment
        assert len(facts.model_dump_json()) < 100_000


class TestMutations:
    @pytest.mark.parametrize(
        ("name", "form", "operation", "kind", "harmless"),
        [
            ("tf1-mutation-input", "updating input tensor", "loss/Reshape", "Reshape", False),
            ("tf1-mutation-control", "adding control input", "loss/Reshape", "Reshape", False),
            ("tf1-mutation-attribute", "setting attribute", "loss/Reshape", "Reshape", False),
            (
                "tf1-mutation-initialiser",
                "setting attribute",
                "dense_1/kernel/Assign",
                "Assign",
                True,
            ),
            (
                "tf1-mutation-update",
                "setting attribute",
                "training/Adadelta/Assign",
                "Assign",
                False,
            ),
            (
                "seed-mutation",
                "updating input tensor",
                "loss/dense_1_loss/softmax_cross_entropy_with_logits/Reshape",
                "Reshape",
                False,
            ),
        ],
    )
    def test_recorded(
        self, name: str, form: str, operation: str, kind: str, harmless: bool
    ) -> None:
        (mutation,) = parse(LOGS / f"{name}.log").mutations
        assert mutation.form == form
        assert mutation.operation == operation
        assert mutation.operation_type == kind
        assert mutation.harmless is harmless
        assert "was changed by" in mutation.text
        assert operation in mutation.text

    def test_tensorflow_2_without_lms(self) -> None:
        facts = parse(LOGS / "tf2-mutation-harmless.log")
        assert [mutation.operation for mutation in facts.mutations] == [
            "dense_1/bias/Assign",
            "loss/mul",
            "dense_2/bias/Assign",
            "dense_1_1/kernel/v/Assign",
            "loss_1/mul",
        ]
        assert all(mutation.harmless for mutation in facts.mutations)

    def test_bookkeeping_attribute_of_an_operation_that_lms_rewired(self) -> None:
        line = (LOGS / "tf2-mutation-harmless.log").read_bytes()
        facts = parse(line.replace(b"loss/dense_1_loss/value", b"lms/swapin_value_0:0"))
        harmful = [mutation.operation for mutation in facts.mutations if not mutation.harmless]
        assert harmful == ["loss/mul"]

    @pytest.mark.parametrize(
        ("name", "operation_type", "inputs", "harmless"),
        [
            ("dense/kernel/Assign", "Assign", "dense/kernel, dense/kernel/Initializer/x", True),
            ("dense/kernel/Assign", "AssignVariableOp", "dense/kernel, zeros", True),
            ("dense/kernel/Assign", "Assign", "x, dense/kernel/initial_value", True),
            ("training/Adadelta/Assign", "Assign", "training/Adadelta/Variable, x", False),
            ("training/Adadelta/Assign_1", "Assign", "dense/kernel, x", False),
            ("training/Assign/Assign", "Identity", "training/Assign, x", False),
            ("dense/kernel/Initializer/random_uniform", "Add", "a, b", True),
            ("dense/IsInitialized/VarIsInitializedOp", "VarIsInitializedOp", "dense", True),
            ("init_1", "NoOp", "^a", True),
            ("scope/init", "NoOp", "^a", True),
            ("training/group_deps", "NoOp", "^a", False),
            ("predictions/Softmax", "Softmax", "dense/BiasAdd", False),
        ],
    )
    def test_harmless(self, name: str, operation_type: str, inputs: str, harmless: bool) -> None:
        (mutation,) = parse(warning(name, operation_type, inputs)).mutations
        assert mutation.harmless is harmless

    def test_two_on_a_line(self) -> None:
        first = warning("a/Assign", "Assign", "a, b").rstrip()
        facts = parse(first + warning("b/MatMul", "MatMul"))
        assert {(m.operation, m.harmless) for m in facts.mutations} == {
            ("a/Assign", True),
            ("b/MatMul", False),
        }

    def test_not_readable_is_harmful(self) -> None:
        facts = parse(b"'} was changed by replacing it after it was run by a session.")
        (mutation,) = facts.mutations
        assert (mutation.form, mutation.operation) == ("replacing it", "?")
        assert not mutation.harmless

    @pytest.mark.parametrize("size", [100_000, 3_000_000])
    def test_definition_of_megabytes(self, size: int) -> None:
        inputs = ", ".join(f"input_{n}" for n in range(size // 10))
        (mutation,) = parse(b"x\n" + warning("training/AddN", "AddN", inputs)).mutations
        assert (mutation.operation, mutation.operation_type) == ("training/AddN", "AddN")
        assert mutation.line == 2
        assert len(mutation.text) <= 1_000
        assert "training/AddN" in mutation.text
        assert "was changed by updating input tensor" in mutation.text

    def test_harmless_ones_cannot_crowd_out_a_harmful_one(self) -> None:
        flood = warning("a/Assign", "Assign", "a, b") * 500
        facts = parse(flood, warning("b/MatMul", "MatMul"), flood)
        harmful = [mutation for mutation in facts.mutations if not mutation.harmless]
        assert [mutation.operation for mutation in harmful] == ["b/MatMul"]
        assert harmful[0].line == 501
        assert facts.dropped == 1000 - kept.SAME_LIMIT


class TestLms:
    def test_v2_in_the_style_of_absl(self) -> None:
        facts = parse(LOGS / "tflms-v2-absl.log")
        (edit,) = facts.edits
        assert edit.source == "native"
        assert (edit.operations, edit.swap_out, edit.swap_in) == (70, 33, 37)
        assert edit.bytes_out == round(0.05 * 2**30)
        assert edit.bytes_in == round(0.06 * 2**30)
        assert edit.milliseconds == 52.68
        assert edit.line == 8
        assert facts.problems == []

    def test_v2_edited_before(self) -> None:
        facts = parse(LOGS / "tflms-v2-info.log")
        assert (facts.edits[0].swap_out, facts.edits[0].bytes_out) == (291, 0)
        assert kinds(facts) == ["lms_already_edited"]

    @pytest.mark.parametrize("name", ["tflms-v2-off", "tflms-v1-off"])
    def test_off(self, name: str) -> None:
        facts = parse(LOGS / f"{name}.log")
        assert kinds(facts) == ["lms_off"]
        assert facts.edits == []

    def test_eager_mode_refused(self) -> None:
        line = b"Eager execution mode is not supported with TensorFlow Large Model Support.\n"
        assert kinds(parse(line)) == ["lms_off"]

    def test_v1(self) -> None:
        (edit,) = parse(LOGS / "tflms-v1.log").edits
        assert (edit.operations, edit.swap_out, edit.swap_in) == (24, 12, 12)
        assert edit.milliseconds == 31.5

    def test_v1_lines_the_other_way_round(self) -> None:
        said = (LOGS / "tflms-v1.log").read_bytes().splitlines(keepends=True)
        (edit,) = parse(said[6], *said[:6]).edits
        assert (edit.operations, edit.swap_out, edit.swap_in) == (24, 12, 12)

    def test_v1_edit_that_is_not_valid(self) -> None:
        line = b"INFO:tensorflow:[LMS][0] Edited model is invalid. Running this may produce..."
        assert len(parse(line).notes) == 1

    def test_marker_and_native_line(self) -> None:
        facts = parse(
            mark("lms_edited", operations=70, swap_out=33, swap_in=37, ms=50),
            LOGS / "tflms-v2-absl.log",
        )
        assert [edit.source for edit in facts.edits] == ["marker", "native"]


class TestProblems:
    def test_out_of_memory(self) -> None:
        facts = parse(LOGS / "tf1-out-of-memory.log")
        assert set(kinds(facts)) == {"out_of_memory", "traceback"}
        (traceback,) = (entry for entry in facts.problems if entry.kind == "traceback")
        assert "ResourceExhaustedError: OOM when allocating tensor" in traceback.text

    def test_nan(self) -> None:
        facts = parse(LOGS / "tf1-keras-nan.log")
        assert set(kinds(facts)) == {"nan_loss"}
        assert facts.problems[0].line == 4
        assert facts.metrics[0].value is None

    def test_script_without_marker(self) -> None:
        facts = parse(LOGS / "tf1-keras-no-marker.log")
        assert facts.problems == []
        assert facts.markers == 0
        assert [(metric.name, metric.split) for metric in facts.metrics] == [
            ("loss", "test"),
            ("accuracy", "test"),
        ]
        assert 2 < (facts.metrics[0].value or 0) < 3

    def test_printed_metrics_give_way_to_markers(self) -> None:
        facts = parse(b"Test loss: 0.5\n", mark("metric", name="loss", value=0.25))
        assert [metric.value for metric in facts.metrics] == [0.25]

    @pytest.mark.parametrize("chunk", [1, 16, 1 << 20])
    def test_a_warning_above_a_blank_line_catches_nothing(
        self, chunk: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # TensorFlow ends its deprecation warnings with an empty line.
        text = (
            b"WARNING:tensorflow:The name x is deprecated. Please use y instead.\n\n"
            b"Traceback (most recent call last):\n"
            b'  File "load.py", line 16, in <module>\n'
            b"OSError: Unable to open file (truncated file)\n"
        )
        monkeypatch.setattr(lines, "CHUNK", chunk)
        (problem,) = parse(text).problems
        assert (problem.kind, problem.line) == ("traceback", 3)
        assert problem.text == "OSError: Unable to open file (truncated file)"

    def test_caught(self) -> None:
        assert parse(LOGS / "python-caught.log").problems == []

    @pytest.mark.parametrize("size", [7, 100, 1 << 20])
    def test_caught_across_chunks(self, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lines, "CHUNK", size)
        assert parse(LOGS / "python-caught.log").problems == []

    def test_chained(self) -> None:
        (problem,) = parse(LOGS / "python-chained.log").problems
        assert problem.text == "ValueError: the model cannot be loaded"
        assert problem.line == 1

    def test_logged_as_an_error(self) -> None:
        (problem,) = parse(LOGS / "python-logged-error.log").problems
        assert (problem.kind, problem.text) == ("traceback", "KeyError: 'loss'")

    def test_traceback_that_is_cut_off(self) -> None:
        facts = parse(b'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n')
        assert [entry.text for entry in facts.problems] == ["a traceback without an exception"]

    def test_traceback_with_another_thread_between(self) -> None:
        text = (
            b'Traceback (most recent call last):\n  File "a.py", line 3\n'
            b"2024-05-01 10:00:00.000001: I tensorflow/core/x.cc:1] hello\n"
            b"    f()\nmodule.SomeError\n"
        )
        assert [entry.text for entry in parse(text).problems] == ["module.SomeError"]

    def test_two_tracebacks(self) -> None:
        text = b"Traceback (most recent call last):\n  f()\nKeyError: %d\n"
        facts = parse(text % 1 + text % 2)
        assert [entry.text for entry in facts.problems] == ["KeyError: 1", "KeyError: 2"]
        assert [entry.line for entry in facts.problems] == [1, 4]

    def test_gpu(self) -> None:
        facts = parse(LOGS / "gpu-errors.log")
        found = {(entry.line, entry.kind) for entry in facts.problems}
        assert found == {
            (1, "cuda_error"),
            (2, "cuda_error"),
            (3, "cuda_error"),
            (4, "out_of_memory"),
            (5, "out_of_memory"),
            (6, "out_of_memory"),
        }

    def test_allocator_that_goes_on(self) -> None:
        assert parse(LOGS / "gpu-back-off.log").problems == []

    @pytest.mark.parametrize(
        ("line", "kind"),
        [
            ("MemoryError", "out_of_memory"),
            ("numpy.core._exceptions._ArrayMemoryError: Unable to allocate", "out_of_memory"),
            ("Killed", "out_of_memory"),
            ("terminate called after throwing an instance of 'std::bad_alloc'", "out_of_memory"),
            ("Memory cgroup out of memory: Killed process 3 (python)", "out_of_memory"),
            ("InternalError: Dst tensor is not initialized.", "out_of_memory"),
            ("  1/12 [=>.] - loss: inf - acc: 0.1", "nan_loss"),
            ("INFO:tensorflow:loss = nan, step = 100", "nan_loss"),
            ("ERROR:tensorflow:Model diverged with loss = NaN.", "nan_loss"),
            ("{'loss': nan, 'accuracy': 0.1}", "nan_loss"),
            ("Batch 3: Invalid loss, terminating training", "nan_loss"),
            ("E cuda_blas.cc:238] failed to create: CUBLAS_STATUS_NOT_INITIALIZED", "cuda_error"),
        ],
    )
    def test_line(self, line: str, kind: str) -> None:
        assert kinds(parse(line.encode())) == [kind]

    @pytest.mark.parametrize(
        "line",
        [
            "loss: nanosecond counter",
            "Killed by purpose: no process",
            "CUDNN_STATUS_SUCCESS",
            "the class MemoryError is documented here",
            "WARNING:root:RuntimeError: CUDA error: illegal address",
            "W0501 10:00:00.000001 1234 train.py:12] OOM when allocating tensor",
            "x.py:3: UserWarning: CUDA out of memory",
            "see Traceback (most recent call last): in the manual",
            "",
        ],
    )
    def test_harmless_line(self, line: str) -> None:
        assert parse(line.encode()).problems == []


class TestStreams:
    def test_line_numbers_are_those_of_cat(self, tmp_path: Path) -> None:
        out, err = tmp_path / "stdout.log", tmp_path / "stderr.log"
        for ending in (b"", b"\n"):
            out.write_bytes(b"\rone\rtwo\r\nKilled\nthree" + ending)
            err.write_bytes(b"four\n" + warning("b/MatMul"))
            facts = parse(out, err)
            both = (out.read_bytes() + err.read_bytes()).split(b"\n")
            assert b"Killed" in both[facts.problems[0].line - 1]
            assert b"b/MatMul" in both[facts.mutations[0].line - 1]
            assert facts.lines == len(both) - 1
            assert facts.bytes == out.stat().st_size + err.stat().st_size

    def test_any_source(self, tmp_path: Path) -> None:
        content = b"x\n" + mark("note", text="a") + b"Killed"
        path = tmp_path / "log"
        path.write_bytes(content)
        expected = parse(content)
        assert expected.lines == 3
        assert parse(path) == expected
        assert parse(str(path)) == expected
        assert parse(io.BytesIO(content)) == expected
        assert parse(content[n : n + 1] for n in range(len(content))) == expected
        assert parse(bytearray(content)) == expected

    def test_nothing(self) -> None:
        assert parse() == parse(b"") == parse(b"", []) == LogFacts()

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            parse(tmp_path / "nothing")

    @pytest.mark.parametrize("size", [1, 3, 64, 4096])
    def test_chunks_do_not_matter(self, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
        content = b"".join(path.read_bytes() for path in sorted(LOGS.glob("*.log")))
        expected = parse(content)
        monkeypatch.setattr(lines, "CHUNK", size)
        assert parse(content) == expected


class TestHostile:
    def test_line_of_a_gigabyte(self) -> None:
        """Fed from a generator; the memory of the process may not grow by more than 32 MiB."""

        def chunks() -> Iterator[bytes]:
            yield b"before\nOperation '{name:'train/MatMul' id:1 def:{{{node x}} = MatMul["
            block = b"x" * (1 << 20)
            for _ in range(1024):
                yield block
            yield b"]}' was changed by adding control input after it was run by a session.\n"
            yield mark("done")

        start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        facts = parse(chunks())
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
        assert grown < 32 * (1024 if sys.platform == "linux" else 1 << 20)
        assert facts.done
        assert facts.lines == 3
        assert [mutation.operation for mutation in facts.mutations] == ["train/MatMul"]
        assert facts.notes == [f"1 lines of the log are longer than {lines.LINE_LIMIT} bytes: cut"]

    def test_progress_bar_without_newline(self) -> None:
        bar = b"\r  1/3000 [>.....] - ETA: 1s - loss: 0.5" * 100_000
        facts = parse(bar + b"\r - loss: nan\n")
        assert facts.notes == []
        assert [(entry.kind, entry.line) for entry in facts.problems] == [("nan_loss", 1)]

    def test_million_markers(self) -> None:
        count = 300_000
        facts = parse(mark("metric", name="loss", value=1) * count, mark("done"))
        assert facts.markers == count + 1
        assert facts.done
        assert len(facts.metrics) == kept.FACTS_LIMIT
        assert facts.dropped == count + 1 - kept.FACTS_LIMIT

    def test_million_problems(self) -> None:
        facts = parse(b"loss: nan\nKilled\n" * 300_000)
        assert 2 * kept.SAME_LIMIT <= len(facts.problems) <= 2 * kept.SAME_LIMIT
        assert facts.dropped == 600_000 - len(facts.problems)

    def test_flood_of_tracebacks_keeps_the_last(self) -> None:
        text = b"Traceback (most recent call last):\n  f()\nKeyError: %d\n"
        facts = parse(b"".join(text % n for n in range(1_000)))
        assert len(facts.problems) == kept.SAME_LIMIT
        assert facts.problems[-1].text == "KeyError: 999"

    def test_flood_of_digests_keeps_the_last(self) -> None:
        digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(100)]
        facts = parse(*(mark("digest", of="weights", stage="saved", sha256=s) for s in digests))
        assert len(facts.digests) == kept.DIGESTS_LIMIT
        assert facts.digests[-1].sha256 == digests[-1]

    def test_long_marker(self) -> None:
        facts = parse(mark("note", text="x" * (2 << 20)) + mark("done"))
        assert kinds(facts) == ["malformed_marker"]
        assert facts.done

    def test_numbers_no_int_can_be_read_from(self) -> None:
        many = b"9" * 10_000
        facts = parse(
            b"[LMS][0] Added " + many + b" operations to the model (1 swap-out operations and 1",
            b"[LMS][0] Added 1 operations to the model (1 swap-out operations (9e999 GiB) and "
            b"1 swap-in operations (1.2.3 GiB))\n",
            b"[LMS][0] Editing model for LMS, took: 1.2.3 ms\nTest loss: 0x12\n",
        )
        assert [(edit.bytes_out, edit.bytes_in) for edit in facts.edits] == [(None, None)]
        assert facts.metrics == []

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.binary(max_size=200), max_size=10))
    def test_random_bytes(self, pieces: list[bytes]) -> None:
        check_sound(pieces)

    @settings(max_examples=500, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from(
                    [
                        b"\n",
                        b"\r",
                        b"\0",
                        b"\x1b[",
                        b" ",
                        b":::LMS ",
                        b'{"event": "metric", "name": "loss", "value": ',
                        b"NaN}",
                        b"[" * 50,
                        b"Traceback (most recent call last):",
                        b"KeyError: 'x'",
                        b"WARNING:root:",
                        b"Exception ignored in",
                        b"During handling of the above exception, another",
                        b"Operation '{name:'x/Assign'",
                        b"}} = Assign[](x, y)",
                        b" was changed by setting attribute after it was run by a session",
                        b"[LMS][0] Added 3 operations to the model (1 swap-out operations",
                        b" (1 GiB) and 2 swap-in operations (1 GiB))",
                        b"[LMS][0] Added 3 ops into the model",
                        b"3 tensors will be swapped out(in) to(from) the host [LMS][0]",
                        b"loss: nan",
                        b"CUDA_ERROR_OUT_OF_MEMORY",
                        b"Killed",
                        b"Test loss: 1e5",
                    ]
                ),
            ),
            max_size=40,
        )
    )
    def test_random_vocabulary(self, pieces: list[bytes]) -> None:
        check_sound(pieces)

    @settings(max_examples=200, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(
                        ["event", "name", "value", "of", "stage", "values", "swap_out"]
                    ),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=10,
        ),
        st.sampled_from(
            ["lms_edited", "metric", "digest", "trace", "environment", "note", "done", None]
        ),
    )
    def test_random_markers(self, value: Any, event: str | None) -> None:
        if isinstance(value, dict) and event:
            value = {**value, "event": event}
        facts = check_sound([b":::LMS ", json.dumps(value).encode()])
        assert facts.markers == 1


def check_sound(pieces: list[bytes]) -> LogFacts:
    """Parses without an exception, the same however it is cut, into a record that is JSON."""
    content = b"".join(pieces)
    facts = parse(content)
    assert LogFacts.model_validate_json(facts.model_dump_json()) == facts
    assert parse(pieces) == facts
    assert facts.bytes == len(content)
    assert facts.lines == content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
    for entry in [*facts.problems, *facts.mutations, *facts.metrics, *facts.edits]:
        assert 1 <= entry.line <= facts.lines
    return facts
