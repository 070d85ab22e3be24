from __future__ import annotations

from harness.history import listing, series
from harness.record.checks import CheckId, Status


def point(day: int, status: Status = Status.PASSED, **values):
    base = {"run": f"run-{day}", "started": f"2025-03-0{day}T10:00:00Z", "status": status}
    return series.Point(**{**base, "setting": "virtual, builtin", **values})


FAILED = point(
    2, Status.FAILED, check=CheckId.EDIT_TOOK_EFFECT, message="37 \x1b[31moperations", seconds=6.9
)
FOUND = {
    "f.a.one": [point(1, numbers={"peak_bytes": 2**20}), FAILED],
    "f.b.two": [point(3, Status.KNOWN)],
}


def test_each_case_is_a_line_of_its_verdicts():
    lines = list(listing.lines(FOUND, full=False))
    assert lines[0].startswith("case     oldest to newest of 2 runs at most: . passed, F failed")
    assert lines[1] == "f.a.one  .F  ▁   peak_bytes 1.0 MiB"
    assert lines[2] == "f.b.two  k"


def test_a_case_in_full_has_each_run_and_its_numbers():
    text = "\n".join(listing.lines(listing.matching(FOUND, "f.a.one"), full=True))
    assert "2025-03-02 10:00  run-2  failed         6.9 s  edit took effect: 37 operations" in text
    assert "peak_bytes  ▁   1.0 MiB to 1.0 MiB, last 1.0 MiB" in text
    assert "\x1b" not in text


def test_numbers_of_a_gpu_and_of_the_virtual_accelerator_are_lines_of_their_own():
    points = [
        point(1, numbers={"peak_bytes": 2**20}),
        point(2, setting="gpu, builtin", numbers={"peak_bytes": 2**30}),
        point(3, numbers={"peak_bytes": 2**21}),
    ]
    lines = list(listing.lines({"f.a.one": points}, full=True))
    assert "  2 runs with virtual, builtin" in lines
    assert "    peak_bytes  ▁█  1.0 MiB to 2.0 MiB, last 2.0 MiB" in lines
    assert "    peak_bytes  ▁  1,024.0 MiB to 1,024.0 MiB, last 1,024.0 MiB" in lines
    assert "▁█  peak_bytes 2.0 MiB" in list(listing.lines({"f.a.one": points}, full=False))[1]


def test_a_pattern_selects_cases():
    assert list(listing.matching(FOUND, "f.*.two")) == ["f.b.two"]
    assert list(listing.matching(FOUND, None)) == list(FOUND)
    assert listing.matching(FOUND, "none") == {}
    assert list(listing.lines({}, full=False)) == ["no run is in the history"]
