"""The end of a job as what had started it reports it: Slurm, LSF, PBS, Kubernetes, CI, an IDE."""

from __future__ import annotations

import re

from harness.logs.grammar.needles import Needle

NEEDLES: tuple[Needle, ...] = (
    rb"(?i)exit(?:ed|s)?[ _-]?(?:with|code|status|reason)|exitcode|non-zero exit",
    rb"CANCELLED|DUE TO|walltime|TERM_RUNLIMIT|TERM_OWNER|TIMEOUT|[Tt]imed out after|NODE_FAIL",
    rb"[Cc]ommand terminated|[Jj]ob (?:failed|aborted|was terminated)|Finished: |job killed",
    rb"Evicted|CrashLoopBackOff|DeadlineExceeded|returned a non-zero|ChildFailedError",
    rb"(?:TIMEOUT|FAILED|NODE_FAIL|CANCELLED\+?) +\d+:\d+|marked build as failure|Aborted by ",
    rb"Too long with no output|Job failed: |was cancell?ed|timed out|exceeded|due to timeout",
    rb"[Bb]uild was aborted",
    rb"error while loading shared libraries|: (?:command )?not found",
    rb"Primary job  ?terminated|noticed that process rank|BAD TERMINATION",
)
_KEYED = re.compile(rb"(?i)^\W{0,6}exit ?code\s{0,8}[:=]\s{0,8}(-?\d{1,12})\b")
_CHILD = re.compile(
    rb"(?i)exit(?:ed|s)?(?: with)? (?:exit )?(?:code|status)(?: code)?[ :=]{1,3}"
    rb"[('\"]?(-?\d{1,12})\b"
    rb"|exited with (?:exit )?(?:code|status) (?:exit )?(?:code |status )?(-?\d{1,12})\b"
    rb"|exit_?code[ :=]{1,4}(-?\d{1,12})\b|non-zero (?:exit )?status (\d{1,3})"
    rb"|returned a non-zero (?:exit )?code:? (\d{1,3})|exited with (\d{1,3})\b"
)
_STOPPED = re.compile(
    rb"\*\*\* (?:JOB|STEP) .{0,100}CANCELLED|CANCELLED AT \S{1,40}|DUE TO (?:TIME LIMIT|PREEMPTION"
    rb"|NODE FAILURE|TASK FAILURE|JOB REQUEUE)|PBS: job killed|TERM_RUNLIMIT"
    rb"|walltime .{0,40}exceeded"
    rb"|[Jj]ob .{0,60}exceeded .{0,40}(?:time|limit)|State: (?:TIMEOUT|FAILED|CANCELLED|NODE_FAIL)"
    rb"|Finished: (?:FAILURE|ABORTED|UNSTABLE)|Reason:\s{0,10}(?:Evicted|Error|DeadlineExceeded)"
    rb"|error while loading shared libraries"
    rb"|(?:python[\d.]*|torchrun|mpirun|srun): (?:command )?not found"
    rb"|CrashLoopBackOff|ChildFailedError|Primary job  ?terminated|noticed that process rank"
    rb"|\b(?:TIMEOUT|FAILED|NODE_FAIL|CANCELLED\+?) +\d+:\d+|marked build as failure|Aborted by \S"
    rb"|Too long with no output|(?:ERROR|error): Job failed: "
    rb"|BAD TERMINATION OF ONE OF YOUR|The job exceeded the maximum time limit"
    rb"|[Tt]he (?:job|operation|runner) .{0,80}(?:was canceled|has timed out|has exceeded)"
    rb"|[Bb]uild (?:timed out|was aborted)|Cancelling nested steps due to timeout"
)
COMPLETION: tuple[Needle, ...] = (
    rb"(?:exit code|exited with code|exit status|exitcode)[ :=]{1,3}0(?:$|[^\d.])"
    rb"|Finished: SUCCESS",
    rb"Job succeeded|State: COMPLETED",
)


def stopped(line: bytes) -> re.Match[bytes] | None:
    """What in a line says that a job was stopped, or has failed as a whole."""
    return _STOPPED.search(line)


def ended(line: bytes) -> re.Match[bytes] | None:
    """What in a line says that a process ended with a failure; which one is not always told."""
    for pattern in (_KEYED, _CHILD):
        found = pattern.search(line)
        if found and any(code and int(code) != 0 for code in found.groups()):
            return found
    return None
