"""One screen: what a GPU gave, what was proven, what failed and why.

    python3 -m benchmarks.gpu.summary DIRECTORY

Reads files that are whole or half done. Imports nothing but the standard library, and fails for no
field that a file lacks: what was measured on a day must not be lost to a word.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PROBES = ("host", "torch", "jax", "jax-flags")
STEPS = "steps.jsonl"
NOT_BEGUN = "not begun"
_Json = Mapping[str, Any]
# What of the answers is shown where it is as it has to be.
_SHOWN = re.compile(
    r"GPU|memory call|PCIe counters|memory by process|accounting|cost of a call|sampler|pid names"
    r"|NVML lists|pinned copies|copies to|.*(swapped|offloaded)$"
)
_WIDTH = 240


def lines(work: Path) -> Iterator[str]:
    """The screen, by what is in the folder of a day."""
    for name in PROBES:
        yield from _guarded(_probe, work / "sanity" / name)
    for directory in sorted((work / "reports").glob("proof-*")):
        yield from _guarded(_proof, directory)
    for directory in sorted((work / "flags").glob("proof-*")):
        yield from _guarded(_proof_with_flags, directory)
    for path in sorted((work / "reports").glob("*/record.json")):
        if not path.parent.is_symlink():  # to the newest of them
            yield from _guarded(_run, path)
    yield from _guarded(_steps, work / STEPS)


def _guarded(part: Callable[[Path], Iterator[str]], path: Path) -> Iterator[str]:
    """The lines of a part; one that cannot be told costs no other."""
    try:
        yield from part(path)
    except (LookupError, TypeError, ValueError, AttributeError, OSError) as problem:
        yield f"  {path}: cannot be told: {type(problem).__name__}: {problem}"


def mib(size: float | None) -> str:
    """Bytes as MiB, "?" for what is not known."""
    return "?" if size is None else f"{size / 2**20:,.0f}"


def ratio(part: float | None, whole: float | None) -> str:
    """A part of a whole, "?" where that is not known."""
    return f"{part / whole:.2f}" if part is not None and whole else "?"


# --- what the machine gives -------------------------------------------------------------------


def _probe(directory: Path) -> Iterator[str]:
    answers = _json(directory / "answers.json")
    if answers is None:
        if directory.name != "jax-flags":
            yield f"SANITY {directory.name}: not run, or it ended before its first answer"
        return
    seconds = sum(entry["seconds"] for entry in answers.values())
    good = sum(entry["ok"] for entry in answers.values())
    yield f"SANITY {directory.name}: {good} of {len(answers)} as it has to be, {seconds:.0f} s"
    for name, entry in answers.items():
        if not entry["ok"]:
            yield f"  FAIL {name}: {entry['answer']}"[:_WIDTH]
        elif _SHOWN.match(name):
            yield f"  {name}: {entry['answer']}"[:_WIDTH]


# --- proofs ------------------------------------------------------------------------------------

_COLUMNS = ("NVML", "framework", "out", "in", "PCIe out", "PCIe in", "pinned", "step ms")


def _proof_with_flags(directory: Path) -> Iterator[str]:
    yield from _proof(directory, " with other flags of XLA")


def _proof(directory: Path, more: str = "") -> Iterator[str]:
    made = _json(directory / "proof.json")
    if made is None:
        yield f"PROOF {directory.name}{more}: NOT FINISHED, no proof.json"
        yield from _last_words(directory)
        return
    findings: Sequence[_Json] = made.get("findings") or []
    statuses = {entry["status"] for entry in findings}
    order = ("failed", "error", "passed")
    word = next((status for status in order if status in statuses), "error").upper()
    state = made.get("state", "finished")
    if state != "finished":
        word = f"{word}, NOT FINISHED ({' '.join((state, made.get('reason') or '')).strip()})"
    about = f"{made['flavor']} {made['scenario']} on {made.get('gpu', {}).get('name')}"
    yield f"PROOF {about}{more}: {word}; goal {mib(made['goal'])} MiB; {made.get('versions')}"
    yield f"  {'MiB':<28} {'batch x':>7} " + " ".join(f"{name:>9}" for name in _COLUMNS) + "  ended"
    measured: Sequence[_Json] = made.get("measurements") or []
    for entry in (*(made.get("smaller") or ()), *measured):
        yield _measurement(entry)
        if entry.get("problem"):
            yield f"    {entry['problem']}"[:_WIDTH]
    by_name = {entry["name"]: entry for entry in measured}
    control, swapped = by_name.get("control"), by_name.get("swapped")
    if control and swapped:
        parts = [
            f"{words} {ratio(swapped.get(name), control.get(name))}"
            for words, name in (
                ("NVML", "nvml_peak"),
                ("framework", "framework_peak"),
                ("step time", "step_ms"),
            )
        ]
        gaps = [entry.get("largest_gap_s") or 0 for entry in measured]
        yield (
            f"  swapped / control: {', '.join(parts)}; ceiling {mib(made.get('ceiling'))} MiB;"
            f" largest gap between samples {1000 * max(gaps):.0f} ms"
        )
    for finding in findings:
        if finding["status"] != "passed":
            words = f"{finding['status'].upper()} {finding['name']}: {finding['message']}"
            yield f"  {words}"[:_WIDTH]
    passed = [finding["name"] for finding in findings if finding["status"] == "passed"]
    yield f"  passed: {', '.join(passed) or 'nothing'}"
    if state != "finished":
        yield from _last_words(directory)


def _measurement(entry: _Json) -> str:
    sizes = ("nvml_peak", "framework_peak", "bytes_out", "bytes_in", "pcie_tx", "pcie_rx")
    cells = [mib(entry.get(name)) for name in (*sizes, "pinned_peak")]
    step_ms = entry.get("step_ms")
    cells.append("?" if step_ms is None else f"{step_ms:.1f}")
    ended = "out of memory" if entry.get("out_of_memory") else entry["outcome"]
    shown = " ".join(f"{cell:>9}" for cell in cells)
    return f"  {entry['name']:<28} {entry['batch_scale']:>7} {shown}  {ended}"


def _last_words(directory: Path) -> Iterator[str]:
    """What the last phase of a proof said that was stopped, or broke."""
    phases = sorted(directory.glob("phases/*"), key=lambda path: path.stat().st_mtime)
    for phase in phases[-1:]:
        said = _text(phase / "stdout.log") + _text(phase / "stderr.log")
        done = '"event": "done"' in said
        last = [line for line in said.splitlines() if line.strip()][-1:] or ["no output"]
        word = "done" if done else f"not done: {last[0]}"
        yield f"  {len(phases)} phases; the last, {phase.name}: {word}"[:_WIDTH]


# --- runs --------------------------------------------------------------------------------------


def _run(path: Path) -> Iterator[str]:
    made = _json(path)
    if made is None:
        yield f"RUN {path.parent.name}: its record cannot be read"
        return
    phases: Sequence[_Json] = made.get("phases") or []
    seconds = [entry["duration_s"] for entry in phases if entry.get("duration_s")]
    median = statistics.median(seconds) if seconds else 0
    flavors = ", ".join(entry["id"] for entry in made.get("flavors") or ())
    yield (
        f"RUN {made['id']} of {flavors}: {made['state']}, {made.get('duration_s') or 0:.0f} s,"
        f" {len(seconds)} phases, median {median:.1f} s"
    )
    yield from _sampling(phases)
    unfinished = {
        entry["key"] for entry in phases if entry["outcome"] in ("not_run", "interrupted")
    }
    ended = {entry["key"] for entry in phases} - unfinished
    passed, rest, told, shown = [], [], [], ""
    for case in made.get("cases") or ():
        if case.get("skip"):
            continue
        checks: Sequence[_Json] = case.get("checks") or []
        bad = [entry for entry in checks if entry["status"] in ("failed", "error")]
        keys = {use[name] for use in case["phases"] for name in ("key", "control") if use.get(name)}
        failed = any(entry["status"] == "failed" for entry in bad)
        if not failed and (not checks or (made["state"] != "finished" and not keys <= ended)):
            rest.append(case["scenario"])
            continue
        name = f"{case['flavor']} {case['scenario']}"
        known = any(entry["status"] == "known" for entry in checks)
        if not bad:
            passed.append(case["scenario"] + (" (known)" if known else ""))
        told += _resumption(name, checks)
        told += _caught(name, case)
        # What is not judged because a phase failed says nothing more than that.
        telling = [entry for entry in bad if not entry["message"].startswith("not judged")]
        for entry in telling or bad[:1]:
            words = f"{entry['status'].upper()} {name}: {entry['id']}: {entry['message']}"
            yield f"  {words}"[: 2 * _WIDTH]
        shown = shown or _confirmed(case["scenario"], checks)
    yield f"  {len(passed)} passed: {', '.join(passed) or 'none'}"
    yield from (entry[:_WIDTH] for entry in (*told, *([shown] if shown else [])))
    if rest:
        yield f"  no time for {len(rest)}: {', '.join(rest)}"


def _sampling(phases: Sequence[_Json]) -> Iterator[str]:
    """What NVML gave over all phases, and what reading it cost."""
    samples = [entry["samples"] for entry in phases if entry.get("samples")]
    if not samples:
        return
    versions = sorted({str(entry.get("memory_version")) for entry in samples})
    sources = sorted(
        {f"{entry.get('pcie_source')} {entry.get('pcie_bits') or '?'} bits" for entry in samples}
    )
    gap = max(entry.get("max_gap_s") or 0 for entry in samples)
    count = sum(entry.get("n") or 0 for entry in samples)
    cost = sum(entry.get("cpu_s") or 0 for entry in samples)
    listed = sum(entry.get("process_peak") is not None for entry in samples)
    errors = sorted({entry["error"] for entry in samples if entry.get("error")})
    yield (
        f"  NVML: memory version {', '.join(versions)}; {', '.join(sources)}; memory by process in"
        f" {listed} of {len(samples)} phases; {count} samples, largest gap {1000 * gap:.0f} ms,"
        f" {1e6 * cost / max(count, 1):.0f} us of processor each"
    )
    yield from (f"  NVML: {error}"[:_WIDTH] for error in errors)


def _resumption(name: str, checks: Sequence[_Json]) -> list[str]:
    return [
        f"  resumed = uninterrupted, {name}: {entry['status']}: {entry['message']}"
        for entry in checks
        if entry["id"] == "resume_equal" and entry["status"] != "skipped"
    ]


def _caught(name: str, case: _Json) -> list[str]:
    """Of a fault that was injected: by which checks it was caught."""
    if case["family"] != "sensitivity":
        return []
    behind = case.get("behind") or ()
    failed = [entry["id"] for entry in behind if entry["status"] == "failed"]
    return [
        f"  fault, {name}: {entry['status']}: {entry['message']} (fail: {', '.join(failed) or '-'})"
        for entry in case["checks"]
        if entry["id"] == "caught"
    ]


def _confirmed(name: str, checks: Sequence[_Json]) -> str:
    for entry in checks:
        if entry["id"] == "swapping_confirmed" and entry["status"] == "passed":
            return f"  {name}: {entry['message']}"
    return ""


# --- steps and files ---------------------------------------------------------------------------


def _steps(path: Path) -> Iterator[str]:
    told = [*filter(None, map(_decoded, _text(path).splitlines()))]
    if not told:
        return
    begun = [entry for entry in told if not entry["word"].startswith(NOT_BEGUN)]
    words = [f"{entry['name']} {entry['seconds']:.0f} s ({entry['word']})" for entry in begun]
    left: dict[str, list[str]] = {}
    for entry in told:
        if entry not in begun:
            left.setdefault(entry["word"], []).append(entry["name"])
    words += [f"{word}: {', '.join(names)}" for word, names in left.items()]
    yield "STEPS " + "; ".join(words)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _json(path: Path) -> Any:
    return _decoded(_text(path))


def _decoded(text: str) -> Any:
    """What JSON says; None for a text that was cut off."""
    try:
        return json.loads(text)
    except ValueError:
        return None


if __name__ == "__main__":
    print("\n".join(lines(Path(sys.argv[1]))))
