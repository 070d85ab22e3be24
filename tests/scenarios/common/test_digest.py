from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from harness.logs import parser
from tests.scenarios.phases import run_code

pytestmark = pytest.mark.tensorflow


def test_digest_is_of_shape_dtype_and_bytes_in_order(tmp_path: Path) -> None:
    code = """
import json
import numpy as np
from common.digest import of_arrays
a = np.arange(6, dtype="<f4").reshape(2, 3)
print(json.dumps({
    "fixed": of_arrays([a, np.int64(7)]),
    "copy": of_arrays([a.copy()]) == of_arrays([a]),
    "layout": of_arrays([np.asfortranarray(a)]) == of_arrays([a]),
    "byte order": of_arrays([a.astype(">f4")]) == of_arrays([a]),
    "other value": of_arrays([a + 1e-7]) == of_arrays([a]),
    "negative zero": of_arrays([np.float32(-0.0)]) == of_arrays([np.float32(0.0)]),
    "other shape": of_arrays([a.reshape(3, 2)]) == of_arrays([a]),
    "other dtype": of_arrays([a.astype("f8")]) == of_arrays([a]),
    "other order": of_arrays([a, a[0]]) == of_arrays([a[0], a]),
    "other split": of_arrays([a[:1], a[1:]]) == of_arrays([a]),
}))
"""
    ended = run_code("tf1-tfkeras", code, tmp_path)
    assert ended.code == 0, ended.log
    assert json.loads(ended.log.splitlines()[-1]) == {
        # sha256 of "<f4(2, 3);" + 24 bytes + "<i8();" + 8 bytes, computed by hand below.
        "fixed": FIXED,
        "copy": True,
        "layout": True,
        "byte order": True,
        "other value": False,
        "negative zero": False,
        "other shape": False,
        "other dtype": False,
        "other order": False,
        "other split": False,
    }


@pytest.mark.parametrize(
    ("variables", "marked"),
    [({}, ["saved", "restored", "final"]), ({"LMS_REFERENCE": "1"}, ["saved", "final"])],
)
def test_a_reference_marks_nothing_that_is_restored(
    variables: dict[str, str], marked: list[str], tmp_path: Path
) -> None:
    code = """
import numpy as np
from common import digest

for stage in ("saved", "restored", "final"):
    digest.arrays("weights", stage, [np.zeros(2)])
"""
    ended = run_code("tf1-tfkeras", code, tmp_path / "phase", **variables)
    assert ended.code == 0, ended.log
    assert [entry["stage"] for entry in ended.of("digest")] == marked


def test_each_tensor_is_told_by_its_name_and_its_projections(tmp_path: Path) -> None:
    code = """
import numpy as np
from common import digest

big = np.random.RandomState(0).normal(size=(70, 90)).astype("float32")
digest.arrays("weights", "saved", [big, np.zeros(())], ["kernel", "count"])
digest.arrays("weights", "final", [big + np.float32(0.5), np.ones(())], ["kernel", "count"])
digest.arrays("random", "final", [np.array(["text"])])
"""
    ended = run_code("tf1-tfkeras", code, tmp_path)
    assert ended.code == 0, ended.log
    before, after = (ended.one("digest", of="weights", stage=s) for s in ("saved", "final"))
    kernel, count = before["each"]
    assert (kernel["name"], kernel["shape"], count["name"]) == ("kernel", [70, 90], "count")
    for entry, other, difference in zip(
        before["each"], after["each"], (0.5 * math.sqrt(70 * 90), 1.0), strict=True
    ):
        apart = [a - b for a, b in zip(entry["projections"], other["projections"], strict=True)]
        size = math.sqrt(sum(value**2 for value in apart) / len(apart))
        assert size == pytest.approx(difference, rel=0.6)
        assert entry["sha256"] != other["sha256"]
    (text,) = ended.one("digest", of="random")["each"]
    assert (text["name"], text["projections"]) == ("0", None)


def _fixed() -> str:
    import hashlib
    import struct

    text = b"<f4(2, 3);" + struct.pack("<6f", *range(6)) + b"<i8();" + struct.pack("<q", 7)
    return hashlib.sha256(text).hexdigest()


FIXED = _fixed()


def test_the_most_tensors_with_the_longest_names_fit_on_a_line(tmp_path: Path) -> None:
    code = """
import numpy as np
from common import digest

value = np.random.RandomState(0).normal(size=(3, 3, 3)) * 1e-300
names = ["block%d/%s/kernel" % (number, "\u00e4" * 300) for number in range(2000)]
digest.arrays("weights", "final", [value] * 2000, names)
"""
    ended = run_code("tf1-tfkeras", code, tmp_path)
    assert ended.code == 0, ended.log
    (facts,) = parser.parse([ended.log.encode()]).digests
    assert facts.each is not None
    names = [entry.name for entry in facts.each]
    assert len(set(names)) == 2000
    assert names[1999].startswith("block1999/?")
    assert names[1999].endswith("?/kernel")
