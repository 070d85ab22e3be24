"""record.json: written whole or not at all, and read back."""

from __future__ import annotations

import json
import re
import secrets
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from harness.base import atomic, plain_file
from harness.base.error import UsageError
from harness.base.text import one_line
from harness.record import journal
from harness.record.models import SCHEMA_VERSION, RunRecord

FILE = "record.json"
ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
"""What `new_id` makes: of two ids the later run's is the greater one."""
_BYTES = 2**31  # a hundred times the largest matrix


def new_id(now: datetime) -> str:
    """A name for what begins at a moment in UTC, and for its directory."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def write(record: RunRecord, run_directory: Path) -> Path:
    """Writes record.json.

    Raises:
        OSError: the file cannot be written.
    """
    return atomic.write(run_directory / FILE, record.to_json(indent=1))


def load(run_directory: Path) -> RunRecord:
    """Returns the record of a run, with what its journal holds beyond it.

    Raises:
        UsageError: there is no record, or this version of the harness cannot read it.
    """
    path = run_directory / FILE
    try:
        content = plain_file.read(path, _BYTES)
    except FileNotFoundError:
        raise UsageError(f"no run in {run_directory}: it holds no {FILE}") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return journal.folded(parse(content, path), run_directory)


def parse(content: bytes, path: Path) -> RunRecord:
    """Returns the record that a file holds.

    Args:
        path: of the file, for the error.

    Raises:
        UsageError: it is no record, or this version of the harness cannot read it.
    """
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


def schema() -> str:
    """Returns the JSON schema of record.json, which is published as docs/record.schema.json."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **RunRecord.model_json_schema(mode="serialization"),
    }
    return json.dumps(document, indent=1) + "\n"


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
