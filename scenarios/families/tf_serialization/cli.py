"""The command `saved_model_cli` of the environment, and what it prints."""

import os
import re
import shutil
import subprocess
import sys
import typing

from common.errors import refuse

NAME = "saved_model_cli"
_ENTRY = re.compile(r"(inputs|outputs)\['(.+)'\] tensor_info:$")
_FIELDS = ("dtype", "shape", "name")
_METHOD = "Method name is:"

# `(direction, key, field)`, or `'method'`.
Key = typing.Union[str, typing.Tuple[str, ...]]


def run_all(*commands: typing.Sequence[str]) -> typing.List[str]:
    """Runs `saved_model_cli` once for each list of arguments, all at once; their standard outputs.

    With an exit code that is not 0 the phase ends with exit code 2 and the command's last line.
    """
    started = [_start(arguments) for arguments in commands]
    # All of them end before the first is judged: none may be left running.
    ended = [(process, process.communicate()) for process in started]
    for arguments, (process, (_, errors)) in zip(commands, ended):
        if process.returncode:
            last = (errors.strip().splitlines() or ["it printed nothing"])[-1]
            refuse(f"{NAME} {arguments[0]} ended with {process.returncode}: {last}")
    return [output for _, (output, _) in ended]


def signature(text: str, name: str = "serving_default") -> typing.Dict[Key, str]:
    """What `show --all` prints of one signature.

    Returns a dict: `(direction, key, field)` → text, direction `'inputs'` or `'outputs'`, field
    `'dtype'`, `'shape'` or `'name'`; and `'method'`.
    """
    found: typing.Dict[Key, str] = {}
    entry: typing.Optional[typing.Tuple[str, ...]] = None
    inside = False
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("signature_def["):
            inside = line == f"signature_def['{name}']:"
            continue
        if not inside:
            continue
        match = _ENTRY.match(line)
        if match:
            entry = match.groups()
        elif line.startswith(_METHOD):
            found["method"] = line[len(_METHOD) :].strip()
            inside = False
        elif entry is not None:
            field, _, value = line.partition(": ")
            if field in _FIELDS:
                key = (*entry, field)
                found[key] = value
    return found


def result(text: str, key: str) -> typing.Optional[str]:
    """The value that `run` prints for an output, as one line; None if there is none."""
    _, found, rest = text.partition(f"Result for output key {key}:\n")
    return " ".join(rest.split("Result for output key")[0].split()) if found else None


def _start(arguments: typing.Sequence[str]) -> "subprocess.Popen[str]":
    # The interpreter's own directory first, and by this interpreter: an environment may have been
    # moved since its scripts were written.
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    command = shutil.which(NAME, path=path)
    if command is None:
        refuse(f"the command {NAME} is not in the environment")
    return subprocess.Popen(
        [sys.executable, command, *arguments],
        # It would take all of a GPU's memory.
        env=dict(os.environ, CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
