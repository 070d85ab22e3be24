"""The reports of a run: record.json, JUnit, summary.md, and the link `latest` to the run.

The record is the one source; everything else is derived from it and can be written again.
"""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness import atomic, junit, summary
from harness.error import HarnessError, UsageError
from harness.record import SCHEMA_VERSION, RunRecord
from harness.tally import exit_code
from harness.text import clean, one_line

__all__ = ["exit_code", "load", "write_all", "write_record"]

RECORD = "record.json"
LATEST = "latest"


def write_all(record: RunRecord, run_directory: Path, latest: bool = True) -> list[Path]:
    """Writes every report of a run; each file is whole or not there.

    Args:
        latest: point `latest` beside the run directory at it; `False` where the reports of an
            earlier run are written again.

    Returns:
        The files that were written.

    Raises:
        HarnessError: a report cannot be written, or `latest` is taken by something else.
    """
    try:
        written = [write_record(record, run_directory)]
        written += junit.write(record, run_directory)
        written.append(summary.write(record, run_directory))
    except OSError as error:
        raise HarnessError(f"cannot write reports below {run_directory}: {error}") from error
    run_directory = run_directory.resolve()  # it may have been named through `latest` itself
    if latest:
        link = run_directory.parent / LATEST
        try:
            atomic.link(link, run_directory.name)
        except OSError as error:
            raise HarnessError(
                f"cannot make the link {link} to this run, so it may show an older one:"
                f" move it out of the way ({error.strerror})"
            ) from error
    return written


def write_record(record: RunRecord, run_directory: Path) -> Path:
    """Writes record.json.

    Raises:
        OSError: the file cannot be written.
    """
    try:
        content = record.model_dump_json(indent=1)
    except ValueError:  # text that is not Unicode, such as half of a surrogate pair from a log
        content = RunRecord.model_validate(_plain(record.model_dump())).model_dump_json(indent=1)
    return atomic.write(run_directory / RECORD, content)


def load(run_directory: Path) -> RunRecord:
    """Returns the record of a run.

    Raises:
        UsageError: there is no record, or this version of the harness cannot read it.
    """
    path = run_directory / RECORD
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"no run in {run_directory}: it holds no {RECORD}") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    try:
        record = RunRecord.model_validate_json(content)
    except ValidationError as error:
        version = _version(content)
        if version not in (None, SCHEMA_VERSION):
            raise _other_version(path, version) from None
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            one_line(f"{path} is not a valid record: {place + ': ' if place else ''}{first['msg']}")
        ) from None
    if record.schema_version != SCHEMA_VERSION:
        raise _other_version(path, record.schema_version)
    return record


def _other_version(path: Path, version: object) -> UsageError:
    return UsageError(
        one_line(
            f"{path} has schema version {version}, this harness reads {SCHEMA_VERSION}:"
            " use the version of the harness that wrote it"
        )
    )


def _version(content: bytes) -> object:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return document.get("schema_version") if isinstance(document, dict) else None


def _plain(value: Any) -> Any:
    """The value with every text in it cleaned, so that it can be encoded as JSON."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, (bool, int, float, Enum)):
        return value
    return clean(str(value))
