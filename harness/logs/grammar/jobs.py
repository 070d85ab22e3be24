"""The end of a job as what had started it reports it: Slurm, LSF, PBS, Kubernetes, CI, an IDE."""

from __future__ import annotations

import re

from harness.logs.grammar.needles import Needle

NEEDLES: tuple[Needle, ...] = (
    rb"(?i:exit(?:ed|s)?[ _-]?(?:with|code|status|reason|\(\d|by signal)|non-zero exit)",
    rb"Failed with result|runtime time limit|Workers? \(tasks / actors\) killed|Timeout \(\d+:",
    rb"shutdown signal|lost communication|Job failed \(|\] Error \d|sending signal [A-Z]{3,6} to",
    rb"is not recognized as an internal|Back-off restarting|BackoffLimit|TERM_[A-Z]+: job killed",
    rb"\|(?:TIMEOUT|FAILED|NODE_FAIL|CANCELLED[^|\n]*)\|",
    rb"\*\*\* (?:JOB|STEP) |[Rr]eason['\"]?:|phase['\"]?:|signal termination|symbol lookup error",
    rb"step timeout|[Bb]uild has been terminated|killed by YARN|Detected KeyboardInterrupt",
    rb"\d (?:failed|error)\b|FAILED \((?:errors|failures)=",
    rb"Force Terminated|Job step aborted|\d/\d+ +(?:Init:)?\w*(?:Error|CannotRun) +\d",
    rb"(?i:(?:training|run|job) (?:has )?(?:failed|crashed|aborted))",
    rb"CANCELLED|DUE TO|walltime|TERM_RUNLIMIT|TERM_OWNER|TIMEOUT|[Tt]imed out after|NODE_FAIL",
    rb"[Cc]ommand terminated|[Jj]ob (?:failed|aborted|was terminated)|Finished: |job killed",
    rb"Evicted|CrashLoopBackOff|DeadlineExceeded|returned a non-zero|ChildFailedError",
    rb"(?:TIMEOUT|FAILED|NODE_FAIL|CANCELLED\+?) +\d+:\d+|marked build as failure|Aborted by ",
    rb"Too long with no output|Job failed: |was cancell?ed|timed out|exceeded|due to timeout",
    rb"[Bb]uild was aborted",
    rb"error while loading shared libraries|: (?:command )?not found",
    rb"Primary job  ?terminated|noticed that process rank|BAD TERMINATION",
)
_KEYED = re.compile(rb"(?i)^\W{0,6}exit[ _]?(?:code|status)['\"]?\s{0,8}[:=]\s{0,8}(-?\d{1,12})\b")
_CHILD = re.compile(
    rb"(?i)exit(?:ed|s)?(?: with)? (?:exit )?(?:code|status)(?: code)?[ :=]{1,3}"
    rb"[('\"]?(-?\d{1,12})\b"
    rb"|exit(?:ed|s) with return code (?:= )?(-?\d{1,12})\b"
    rb"|exited with (?:exit )?(?:code|status) (?:exit )?(?:code |status )?(-?\d{1,12})\b"
    rb"|exit_?(?:code|status)['\"]?[ :=]{1,4}(-?\d{1,12})\b|Exited \((\d{1,3})\)"
    rb"|Exited by signal (\d)"
    rb"|\*\*\* \[[^\]\n]{1,200}\] Error (\d{1,3})|code=exited, status=(\d{1,3})/"  # make, systemd
    rb"|non-zero (?:exit )?status (\d{1,3})"
    rb"|returned a non-zero (?:exit )?code:? (\d{1,3})|exited with (\d{1,3})\b"
)
_STOPPED = re.compile(
    rb"\*\*\* (?:JOB|STEP) .{0,100}(?:CANCELLED|FAILED)|CANCELLED AT \S{1,40}"
    rb"|DUE TO (?:TIME LIMIT|PREEMPTION|NODE FAILURE|TASK FAILURE|JOB REQUEUE)|PBS: job killed"
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
    rb"|\|(?:TIMEOUT|FAILED|NODE_FAIL|CANCELLED[^|\n]{0,40})\|\d+:\d+|TERM_[A-Z]{1,20}: job killed"
    rb"|srun: (?:Force Terminated|Job step aborted)|reached runtime time limit"
    rb"|Job failed \([^)\n]{1,80}\): |runner has received a shutdown signal"
    rb"|lost communication with the server|timeout: sending signal [A-Z]{3,6} to command"
    rb"|'python[\d.]*' is not recognized as an internal or external command"
    rb"|^['\"]?reason['\"]?:\s{0,10}\"?(?:Evicted|DeadlineExceeded|BackoffLimitExceeded)\b"
    rb"|^['\"]?phase['\"]?:\s{0,10}\"?Failed\b|Exited with signal termination"
    rb"|\bpython[\d.]*: symbol lookup error|Exceeded step timeout of|The build has been terminated"
    rb"|^=+ [^\n]{0,80}\b[1-9]\d* (?:failed|errors?)\b[^\n]{0,80} in \d"  # pytest, unittest
    rb"|^FAILED \((?:errors|failures)="
    rb"|^\s{0,8}Warning\s{2,20}(?:Evicted\s|DeadlineExceeded\s|BackoffLimitExceeded\s"
    rb"|BackOff\s.{0,80}Back-off restarting)"
)
# What may be of another program, or of a worker that is started again.
_PERHAPS = re.compile(
    rb"Failed with result '(?!success)|[1-9]\d* Workers? \(tasks / actors\) killed"
    rb"|Container killed by YARN|^Detected KeyboardInterrupt, attempting"
    rb"|^Timeout \(\d+:\d\d:\d\d(?:\.\d+)?\)!"
    rb"|\b\d+/\d+\s{1,20}(?:Init:)?\w{0,30}(?:Error|CannotRun)\s{1,20}\d+(?: \(.{1,20} ago\))?"
    rb"\s{1,20}\d+[smhd]"
)
# Of what a logger says at ERROR: the end of everything.
_FAILED = re.compile(
    rb"(?i)\b(?:training|run|job)(?: has)? (?:failed|crashed|aborted)\b(?! (?:to|with code 0)\b)"
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
    return _PERHAPS.search(line)


def failed(line: bytes) -> re.Match[bytes] | None:
    """What in a line of a logger at ERROR or above says that the run has failed."""
    return _FAILED.search(line)
