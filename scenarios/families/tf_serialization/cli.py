"""The command `saved_model_cli` of the environment, and what it prints."""

import os
import re
import shutil
import subprocess
import sys

from common.phase import refuse

NAME = "saved_model_cli"
_ENTRY = re.compile(r"(inputs|outputs)\['(.+)'\] tensor_info:$")
_FIELDS = ("dtype", "shape", "name")
_METHOD = "Method name is:"


def run_all(*commands):
    """Runs `saved_model_cli` once for each list of arguments, all at once; their standard outputs.

    With an exit code that is not 0 the phase ends with exit code 2 and the command's last line.
    """
    started = [_start(arguments) for arguments in commands]
    # All of them end before the first is judged: none may be left running.
    ended = [(process, process.communicate()) for process in started]
    for arguments, (process, (_, errors)) in zip(commands, ended):
        if process.returncode:
            last = (errors.strip().splitlines() or ["it printed nothing"])[-1]
            refuse("{} {} ended with {}: {}".format(NAME, arguments[0], process.returncode, last))
    return [output for _, (output, _) in ended]


def signature(text, name="serving_default"):
    """What `show --all` prints of one signature.

    Returns a dict: `(direction, key, field)` → text, direction `'inputs'` or `'outputs'`, field
    `'dtype'`, `'shape'` or `'name'`; and `'method'`.
    """
    found, entry, inside = {}, None, False
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("signature_def["):
            inside = line == "signature_def['{}']:".format(name)
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
                found[entry + (field,)] = value
    return found


def result(text, key):
    """The value that `run` prints for an output, as one line; None if there is none."""
    _, found, rest = text.partition("Result for output key {}:\n".format(key))
    return " ".join(rest.split("Result for output key")[0].split()) if found else None


def _start(arguments):
    # The interpreter's own directory first, and by this interpreter: an environment may have been
    # moved since its scripts were written.
    places = [os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]
    command = shutil.which(NAME, path=os.pathsep.join(places))
    if command is None:
        refuse("the command {} is not in the environment".format(NAME))
    return subprocess.Popen(
        [sys.executable, command] + list(arguments),
        # It would take all of a GPU's memory.
        env=dict(os.environ, CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
