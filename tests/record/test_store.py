"""The published schema of record.json."""

from __future__ import annotations

import json

import jsonschema
import pytest

from harness.record import store
from tests import records
from tests.paths import ROOT

PAGE = ROOT / "docs" / "record.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(store.schema()))


def test_the_published_schema_is_that_of_the_code():
    assert PAGE.read_text() == store.schema(), "harness report --schema > docs/record.schema.json"


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)


@pytest.mark.parametrize("record", [records.run(), records.green(), records.record([])])
def test_records_are_valid_by_it(record):
    VALIDATOR.validate(json.loads(record.to_json()))


@pytest.mark.parametrize(
    "change", [{"more": 1}, {"started": None}, {"cases": [{}]}, {"flavors": {}}]
)
def test_what_no_record_holds_is_not(change):
    document = {**json.loads(records.run().to_json()), **change}
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(document)
