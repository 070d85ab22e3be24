"""What every entry of the catalog is made of: strict, immutable models, and names that are safe."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from harness.base import plain_file
from harness.base.error import UsageError
from harness.base.text import one_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def printable(text: str) -> str:
    """The text; raises ValueError where it could do something to a terminal."""
    if not text.isprintable():
        raise ValueError("holds a control character")
    return text


Words = Annotated[str, StringConstraints(min_length=1), AfterValidator(printable)]
# Jenkins keys its history on ids, and a dot in one would be read as a package.
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]
# What the driver itself tells a phase, and what decides which programs, libraries and GPUs it gets:
# no file may say otherwise (docs/contract.md). ld.so(8), python(1), the container toolkit's and
# CUDA's documents name those that are read before a phase's own code is.
_OF_THE_HARNESS = re.compile(
    r"ACCELERATOR|BATCH_SCALE|COMPILATION_CACHE|EXECUTION_MODE|KERAS|MEMORY_CEILING|SERVER_(HOST|PORT|URL)"
    r"|(DATA|INPUT|OUTPUT)_DIR|LMS_(FAULT|MEASURE|PARAMS|PATH|PROVIDER|REFERENCE)"
    r"|OMP_NUM_THREADS|TF_NUM_(INTRA|INTER)OP_THREADS"
    r"|HOME|PATH|TMPDIR|ENV|BASH_ENV|GCONV_PATH|GLIBC_TUNABLES|(LD|DYLD)_.*"
    r"|PYTHON(BREAKPOINT|CASEOK|DONTWRITEBYTECODE|EXECUTABLE|HASHSEED|HOME|INSPECT|NOUSERSITE|PATH"
    r"|PLATLIBDIR|PYCACHEPREFIX|SAFEPATH|STARTUP|UNBUFFERED|USERBASE)"
    r"|NVIDIA_(VISIBLE_DEVICES|DRIVER_CAPABILITIES|(REQUIRE|MIG|IMEX)_.*"
    r"|DISABLE_REQUIRE|GDRCOPY|GDS|MOFED|NVSWITCH)"
    r"|CUDA_(VISIBLE_DEVICES|DEVICE_ORDER|INJECTION(32|64)_PATH)"
    r"|(HIP|ROCR)_VISIBLE_DEVICES|GPU_DEVICE_ORDINAL"
)


def _own(name: str) -> str:
    if _OF_THE_HARNESS.fullmatch(name):
        raise ValueError(f"{name} is set by the harness alone")
    return name


def _of_phase(name: str) -> str:
    if name == "KERAS_BACKEND":
        raise ValueError("KERAS_BACKEND is the flavor's: set it in a flavor.toml")
    return name


Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$"), AfterValidator(_own)]
# The same of a phase: it may not turn its flavor into another one.
PhaseVariable = Annotated[Variable, AfterValidator(_of_phase)]


# Of the host, what CUDA's compiler and the libraries that it reads are found by: jax reads
# CUDA_ROOT (jax/_src/lib), XLA's flags have --xla_gpu_cuda_data_dir, build systems set the others.
CUDA_PLACES = ("CUDA_HOME", "CUDA_PATH", "CUDA_ROOT")
HostVariable = Literal["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "XLA_FLAGS"]


def _of_a_variable(text: str) -> str:
    if "\0" in text:  # which ends a variable for the system
        raise ValueError("holds a NUL character")
    return text


Value = Annotated[str, StringConstraints(max_length=32_768), AfterValidator(_of_a_variable)]
Fault = Annotated[str, StringConstraints(pattern=r"^[a-z_]+(:\d+:[a-z]+)?$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*$")]
Index = Annotated[str, StringConstraints(pattern=r"^https://[\w.-]+(/[\w./+-]*)?$")]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$")]
Accelerator = Literal["gpu", "virtual"]
Mode = Literal["session", "function", "eager"]
Script = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9_-]+/)?[A-Za-z0-9_][A-Za-z0-9_-]*\.py$")
]


class Entry(BaseModel):
    """Base of every catalog model: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_EntryT = TypeVar("_EntryT", bound=Entry)


def read(path: Path) -> dict[str, Any]:
    """What a file of TOML holds.

    Raises:
        UsageError: it cannot be read, or is not TOML.
    """
    try:
        content: dict[str, Any] = tomllib.loads(plain_file.read_text(path))
    except (ValueError, RecursionError) as problem:  # no UTF-8, no TOML, or no end of brackets
        raise UsageError(one_line(f"{path}: not TOML: {problem}")) from problem
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror}") from problem
    return content


def validated(
    model: type[_EntryT], content: dict[str, Any], path: Path, unnamed: str = ""
) -> _EntryT:
    """The entry of a file.

    Args:
        unnamed: what the entry is called where it has no id.

    Raises:
        UsageError: it does not say what it must; one line has the file, the entry and the field.
    """
    try:
        return model.model_validate(content)
    except ValidationError as problem:
        errors = problem.errors(include_url=False)
        # Of what may be one thing or another, such as a name or a table, the one that fits best.
        place = errors[0]["loc"][:-1]
        alike = [error for error in errors if place and error["loc"][: len(place)] == place]
        first = max(alike or errors[:1], key=lambda error: len(error["loc"]))
        where = ".".join(str(part) for part in first["loc"]) or "(top level)"
        name = content.get("id")
        name = name if isinstance(name, str) and name else unnamed
        entry = f" {one_line(name, 80)}:" if name else ""
        raise UsageError(one_line(f"{path}:{entry} {where}: {first['msg']}")) from problem
