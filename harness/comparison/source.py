"""What a user names as a run or a baseline, read from disk."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from harness.base import plain_file
from harness.base.error import UsageError
from harness.base.text import one_line
from harness.comparison import baseline
from harness.comparison.baseline import Baseline
from harness.record import store
from harness.record.models import RunRecord


def load(place: Path) -> Baseline:
    """Returns the baseline of a run's directory, of a record's file, or of an accepted baseline.

    Raises:
        UsageError: it is none of these, or this version of the harness cannot read it.
    """
    if place.is_dir() or place.name == store.FILE:
        return baseline.of([record(place)])
    content = _read(place)
    document = _document(content)
    if not isinstance(document, dict) or baseline.VERSION_FIELD not in document:
        return baseline.of([store.parse(content, place)])
    version = document[baseline.VERSION_FIELD]
    if version != baseline.VERSION:
        raise UsageError(
            one_line(
                f"{place} is a baseline of version {version}, this harness reads"
                f" {baseline.VERSION}: accept the run again"
            )
        )
    try:
        return Baseline.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            one_line(f"{place} is no valid baseline: {where}: {first['msg']}")
        ) from None


def record(place: Path) -> RunRecord:
    """Returns the record of a run's directory, or of a record's file.

    Raises:
        UsageError: it is neither, or this version of the harness cannot read it.
    """
    if place.is_dir():
        return store.load(place)
    if place.name == store.FILE:
        return store.load(place.parent)  # with what its journal holds beyond it
    content = _read(place)
    document = _document(content)
    if isinstance(document, dict) and baseline.VERSION_FIELD in document:
        raise UsageError(f"{place} is a baseline, and no run: name the run itself")
    return store.parse(content, place)


def _read(place: Path) -> bytes:
    try:
        return plain_file.read(place)
    except FileNotFoundError:
        raise UsageError(
            f"{place} is not there: name a run (its directory, its id or latest), a record's file"
            " or an accepted baseline"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot read {place}: {error.strerror}") from error


def _document(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
