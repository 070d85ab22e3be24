"""record.json: written whole or not at all, and read back."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.base import atomic, plain_file
from harness.base.error import UsageError
from harness.base.text import clean, one_line
from harness.record.models import SCHEMA_VERSION, RunRecord

FILE = "record.json"


def write(record: RunRecord, run_directory: Path) -> Path:
    """Writes record.json.

    Raises:
        OSError: the file cannot be written.
    """
    try:
        content = record.model_dump_json(indent=1)
    except ValueError:  # text that is not Unicode, such as half of a surrogate pair from a log
        content = RunRecord.model_validate(_plain(record.model_dump())).model_dump_json(indent=1)
    return atomic.write(run_directory / FILE, content)


def load(run_directory: Path) -> RunRecord:
    """Returns the record of a run.

    Raises:
        UsageError: there is no record, or this version of the harness cannot read it.
    """
    path = run_directory / FILE
    try:
        content = plain_file.read(path)
    except FileNotFoundError:
        raise UsageError(f"no run in {run_directory}: it holds no {FILE}") from None
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
