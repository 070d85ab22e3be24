"""How serious the writer of a line found it, in whatever format."""

from __future__ import annotations

import pytest

from harness.logs.grammar import loggers
from harness.logs.grammar.loggers import Level


@pytest.mark.parametrize(
    "line",
    [
        "WARNING:root:x",
        "INFO:tensorflow:x",
        "WARNING: x",
        "[WARNING] x",
        "[WARN] x",
        "2024-02-01 15:24:42,103 - trainer.cache - WARNING - x",
        "- trainer.cache - WARNING - x",
        "2024-02-01 15:24:42 WARNING device.py L83: x",
        "2026-05-23 07:59:43.123 | WARNING  | mod:fn:12 - x",
        "2020-12-08 22:42:14 | INFO | train | x",
        "2015-10-23 03:32:22 peter-macbook coloredlogs.demo[30462] DEBUG x",
        "[2024-02-01 15:24:42,103] [WARNING] [stage3.py:12:step] x",
        "[2024-02-01 15:24:42,103][trainer][INFO] - x",
        "2024/02/01 15:24:42 - mmengine - WARNING - x",
        "[WARNING|trainer.py:803] 2024-02-01 15:24:42,103 >> x",
        "[15:24:42] WARNING  x      trainer.py:12",
        "WARNING  [02/01 15:24:42 d2.engine]: x",
        "I0101 19:37:24.588294 139854123456320 lms.py:1275] x",
        "[W 2023-09-15 15:44:38,812] x",
        "[I 15:44:38.812 NotebookApp] x",
        "2024-02-01 15:24:42 [warning  ] x",
        "time=2024-02-01T15:24:42Z level=warning msg=x",
        '{"level": "info", "message": "x"}',
        "[WARNING/MainProcess] x",
        "wandb: WARNING x",
        "/opt/x/y.py:12: UserWarning: x",
        "<ipython-input-3-a>:1: DeprecationWarning: x",
        "C:\\x\\y.py:3: FutureWarning: x",
        "sys:1: ResourceWarning: x",
        "UserWarning: x",
        "Warning: x",
    ],
)
def test_warning_or_below(line: str) -> None:
    level = loggers.level(line.encode())
    assert level is not None
    assert level <= Level.WARNING


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("ERROR:root:x", Level.ERROR),
        ("2024-02-01 15:24:42,103 - trainer - ERROR - x", Level.ERROR),
        ("2026-05-23 07:59:43.123 | ERROR    | mod:fn:12 - x", Level.ERROR),
        ("E0101 19:37:24.588294 1398 main.py:12] x", Level.ERROR),
        ("2024-02-01 15:24:42 [error    ] x", Level.ERROR),
        ("CRITICAL:root:x", Level.FATAL),
        ("[2024-01-01 10:00:00,000] torch.distributed.run: [ERROR] x", Level.ERROR),
    ],
)
def test_error_or_above(line: str, level: Level) -> None:
    assert loggers.level(line.encode()) is level


@pytest.mark.parametrize(
    "line",
    [
        "",
        "There was an ERROR in the log",
        "it printed a WARNING",
        "Test loss: 0.5",
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "RuntimeError: CUDA error: x",
        'Traceback (most recent call last):  File "WARNING.py", line 3',
        "loss: 0.5 - INFO_count: 3",
        "2024-05-01 10:00:00.000001: W tensorflow/c/c_api.cc:326] x",
        "E0914 10:11:12.131415   99 cuda_executor.cc:1182] x",
        "[W CUDAGuardImpl.h:113] Warning: x",
        "[ 12/100] step",
    ],
)
def test_nobody_says(line: str) -> None:
    assert loggers.level(line.encode()) is None


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2024-05-01 10:00:00.000001: W tensorflow/c/c_api.cc:326] x", Level.WARNING),
        ("2024-05-01 10:00:00.000001: I .\\tensorflow/core/x.h:3] x", Level.INFO),
        ("2024-05-01 10:00:00.000001: E external/local_xla/x.cc:3] x", Level.ERROR),
        ("F tensorflow/core/x.cu.cc:3] x", Level.FATAL),
        ("E0914 10:11:12.131415   99 cuda_executor.cc:1182] x", Level.ERROR),
        ("E0000 00:00:1730000000.000000    1234 cuda_dnn.cc:8310] x", Level.ERROR),
        ("[W1015 12:00:00.123456789 ProcessGroupNCCL.cpp:1538] x", Level.WARNING),
        ("I0101 19:37:24.588294 1398 lms.py:1275] x", None),
        ("WARNING:root:x", None),
    ],
)
def test_runtimes(line: str, level: Level | None) -> None:
    assert loggers.native(line.encode()) is level
