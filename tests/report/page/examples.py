"""A run with logs and timelines, as its pages are made of."""

from __future__ import annotations

import math
from pathlib import Path

from harness.base.text import mib
from harness.record import comparison as compared
from harness.record.checks import CheckId, Status
from harness.record.models import RunRecord
from harness.report.timeline.model import Mark, Moved, Peak, Series, Timeline
from tests import records

MIB = 2**20
FAILED = "tf1-tfkeras.keras_saveload.weights-session"
# What breaks out of text, of an attribute, of a script element, or of a comment.
HOSTILE = (
    "</script><script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "'); alert(1); ('",
    "<!-- <script>",
    "\u2028 \u2029 ]]> {{ 7 * 7 }} {% raw %} &lt;b&gt; javascript:alert(1)",
    "\x1b[31mred\x1b[0m \x00",
)


def timeline(label: str = "LMS edited the graph") -> Timeline:
    """The step of a load phase and of its control: 46 MiB in place of 83, what left on the host."""
    count = 120
    shape = [math.sin(math.pi * index / (count - 1)) for index in range(count)]
    times = {
        "swapped": [index * 4e-4 for index in range(count)],
        "control": [index * 3e-4 for index in range(count)],
    }
    series = [
        Series(
            name=name if track == "accelerator" else f"{name}, host",
            track=track,
            unit="B",
            t=times[name],
            value=[round(top * MIB * height) for height in shape],
        )
        for name, track, top in (
            ("control", "accelerator", 83),
            ("swapped", "accelerator", 46),
            ("swapped", "host", 37),
        )
    ]
    marks = [Mark(t=0, kind="step_begin", label="step", series="swapped")]
    marks += [
        Mark(t=times["swapped"][index], kind=kind, label=label, series="swapped")
        for index, kind in ((20, "swap_out"), (90, "swap_in"), (count - 1, "step_end"))
    ]
    peaks = [
        Peak(t=one.t[one.value.index(max(one.value))], value=max(one.value), series=one.name,
             label=mib(max(one.value)))
        for one in series
    ]  # fmt: skip
    return Timeline(
        phase="load",
        meter="allocation records of one traced step",
        series=series,
        marks=marks,
        gaps=[(0.01, 0.013)],
        peaks=peaks,
        ceiling=60 * MIB,
        largest=[Moved(name="conv2d/Relu:0", bytes=12 * MIB), Moved(name=label, bytes=MIB)],
    )


def comparison(text: str = "37 operations were changed") -> compared.Comparison:
    """A case that passed in the baseline, a peak that rose, another host."""
    return compared.Comparison(
        base=["20250228-100000-1111"],
        run="20250301-100000-3f2a",
        checks=80,
        numbers=40,
        failing=[
            compared.Change(
                case=FAILED,
                check=CheckId.EDIT_TOOK_EFFECT,
                before=Status.PASSED,
                after=Status.FAILED,
                message=text,
            )
        ],
        moved=[
            compared.Moved(
                case="tf1-tfkeras.keras_saveload.trainsave-loadtrain",
                check=CheckId.SWAPPING_CONFIRMED,
                name="load.peak_bytes",
                kind="peak",
                before=46 * MIB,
                after=60 * MIB,
                share=0.304,
                tolerance=0.05,
                worse=True,
            )
        ],
        provenance=[compared.Differing(where="host", name="kernel", before="6.1.0", after=text)],
    )


def run() -> RunRecord:
    """As `records.run()`, with a case that has a known defect."""
    found = records.run()
    known = records.check(CheckId.STATE_RESTORED, Status.KNOWN, "the moments differ")
    case = records.case("known-defect", checks=records.checks(state_restored=known))
    return found.model_copy(update={"cases": [*found.cases, case], "comparison": comparison()})


def hostile() -> RunRecord:
    """A run in which everything that anybody could have written is meant to break out."""
    text = " ".join(HOSTILE)
    check = records.check(
        CheckId.STATE_RESTORED,
        Status.FAILED,
        text,
        lines=[f"load:{number}: {one}" for number, one in enumerate(HOSTILE)],
        numbers={one: one for one in HOSTILE},
    )
    known = records.check(CheckId.RESUME_EQUAL, Status.KNOWN, text)
    cases = [
        records.case(
            scenario,
            HOSTILE[0],
            family=HOSTILE[1],
            description=text,
            reproduce=text,
            checks=records.checks(state_restored=check, resume_equal=known),
        )
        for scenario in HOSTILE
    ]
    phases = [
        phase.model_copy(
            update={
                "directory": f"phases/{number}" if number % 3 else f"../../{text}",
                "reason": text,
                "script": text,
                "role": text,
            }
        )
        for number, phase in enumerate(records.phases_of(cases))
    ]
    return records.record(
        cases,
        phases=phases,
        id=text,
        notes=[text],
        host={text: text},
        comparison=comparison(text),
    )


def write_logs(record: RunRecord, run_directory: Path, text: str = "") -> None:
    """Gives each phase with a place below the run logs, samples and details."""
    inside = [phase for phase in record.phases if not phase.directory.startswith("..")]
    records.logs(record.model_copy(update={"phases": inside}), run_directory)
    for phase in inside:
        directory = run_directory / phase.directory
        with (directory / "stderr.log").open("a", encoding="utf-8") as log:
            log.write(text)
        (directory / "samples.csv").write_text("t,device_used\n0,1\n")
        (directory / "details.json").write_text("{}")
