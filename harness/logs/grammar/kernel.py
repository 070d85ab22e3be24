"""The end of a process as its kernel, its shell, its C library or its runtime reports it."""

from __future__ import annotations

import re

from harness.logs.grammar.needles import Needle

MEMORY_NEEDLES: tuple[Needle, ...] = (
    rb"Killed|zsh: killed|\] {1,8}\d+ killed",
    b"std::bad_alloc",
    rb"oom[-_]kill",
    rb"OOMKilled|OUT_OF_ME|exceeds job hard limit",
    rb"[Ee]xceeded (?:job |step )?memory limit|TERM_MEMLIMIT",
    rb"invoked oom-killer|oom_reaper: |by the OOM killer|due to memory pressure|container oom "
    rb"|OOMKilling",
    rb"sending SIG(?:TERM|KILL) to process|more memory than is available",
)
MEMORY = re.compile(
    rb"std::bad_alloc|[Mm]emory cgroup out of memory|Out of memory: Kill"
    rb"|[Oo]ut [Oo]f [Mm]emory: [Kk]ill"
    rb"|(?:^|[]%)\d])\s{0,8}Killed\s*$|zsh: killed\b|\[\d+\][+-]?\s+(?:\d+\s+)?[Kk]illed\b"
    rb"|: line \d+:\s+\d+ Killed\b|\bKilled\s+python|Killed process \d"
    rb"|[Oo]om[-_][Kk]ill (?:event|constraint)|oom-kill:|oom_kill event|[Oo]om[-_]kill event"
    rb"|\bOOMKilled\b(?!['\"]?\s{0,3}[:=]\s{0,3}false)|\bOUT_OF_MEMORY\b(?! *=)"
    rb"|[Ee]xceeded (?:job |step )?memory limit|TERM_MEMLIMIT"
    rb"|\bOUT_OF_ME\+|exceeds job hard limit|\bOut Of Memory\b"
    rb"|\binvoked oom-killer|oom_reaper: reaped process|killed by the OOM killer"
    rb"|^Killed /\S{1,300} due to memory pressure|container oom [0-9a-f]{6,64} \("  # oomd; Docker
    rb"|sending SIG(?:TERM|KILL) to process \d+ uid \d+"  # earlyoom
    rb"|tried to allocate more memory than is available"  # Kaggle
    rb"|: tasks? [\d,-]{1,200}: Killed\b|^\s{0,8}Warning\s{2,20}\w{0,6}OOMKilling\b"
)
CRASH_NEEDLES: tuple[Needle, ...] = (
    rb"[Ss]egmentation fault|SIGSEGV|SIGABRT|SIGBUS|SIGILL|SIGFPE|SIGKILL|SIGTERM",
    rb"Fatal Python error|[Ii]llegal instruction|[Bb]us error|Floating point exception|Abort trap",
    rb"[Cc]heck (?:failed: |failure stack)|: F \S|^(?:\S{1,40} )?F\d{4,8} [\d:.]+ +\d+ "
    rb"|\[F\d{4} [\d:.]+ ",
    rb"terminate called|libc\+\+abi|pure virtual method called",
    rb"Aborted|core dumped|^(?:\S{1,40} )?Terminated",
    rb"fatal exception: |fatal error detected by the Java|EXCEPTION_ACCESS_VIOLATION",
    rb"0xC0000005|0xC0000409|0xC0000374|0xC000001D|0xc0000005|0xc0000374|0xc000001d",
    rb"double free or corruption|(?:alloc|align|free|chunk|shutdown)(?:_consolidate)?\(\): [a-z]",
    rb"corrupted (?:size vs|double-linked)|(?:stack smashing|buffer overflow) detected",
    rb"Assertion [`'].*failed|Trace/breakpoint trap|OMP: Error #",
    rb"[Rr]eceived (?:signal|SIG)|signal: |\(signal \d|status=\d+/[A-Z]|dumped core"
    rb"|killed by signal|terminated by signal|on signal \d",
    rb"segfault at |traps: |general protection|zsh: |panicked at |\d+ (?:abort|terminated)",
    rb"[Kk]ernel [^\n]{0,20}died|The Kernel crashed|[Kk]ernel [Rr]estarting|Your session crashed"
    rb"|MPI_ABORT was invoked",
    rb"(?:[\]%):]|\d) {0,8}Terminated$",
)
CRASH = re.compile(
    rb"[Ss]egmentation fault"
    rb"|(?:signal(?: 9)?:?|signal 9 \(|by signal|Signals\.) ?\(?SIGKILL|SIGKILL\) received"
    rb"|Fatal Python error|\b[Ii]llegal instruction|\b[Bb]us error\b|Floating point exception"
    rb"|Abort trap|terminate called|libc\+\+abi: terminating|pure virtual method called"
    rb"|(?:^|[]%)\d])\s{0,8}Aborted\b|: line \d+:\s+\d+ Aborted|\(core dumped\)"
    rb"|(?:^|[]%)\d])\s{0,8}Terminated\s*$"
    rb"|zsh: (?:abort|terminated|bus error|illegal|trace trap)"
    rb"|\[\d+\][+-]?\s+\d+\s+(?:abort|termin)"
    rb"|panicked at |[Kk]ernel (?:appears to have |has )?died|The Kernel crashed"
    rb"|[Kk]ernel [Rr]estarting"
    rb"|Your session crashed|MPI_ABORT was invoked"
    rb"|: line \d+:\s+\d+ Terminated\b"
    rb"|Windows fatal exception: |A fatal error detected by the Java|EXCEPTION_ACCESS_VIOLATION"
    rb"|0[xX][cC]0000(?:005|409|374|01[dD])"
    rb"|double free or corruption|corrupted (?:size vs|double-linked)|Trace/breakpoint trap"
    rb"|(?:^|[\s'])(?:(?:m|c|re|vec)alloc|malloc_consolidate|memalign|free|m(?:unm|rem)ap_chunk"
    rb"|tcache_thread_shutdown)\(\): [a-z]"
    rb"|(?:stack smashing|buffer overflow) detected"
    rb"|[:\]] Assertion [`'].{1,300}[`'] failed"  # assert() of C, and of a kernel of CUDA
    rb"|\bOMP: Error #\d"
    rb"|\bsignal: (?:killed|aborted|terminated|segmentation|bus|illegal|floating)"  # Go
    rb"|Abnormal termination \(signal|monitored command dumped core"  # HTCondor, timeout
    rb"|: tasks? [\d,-]{1,200}: (?:Terminated|Aborted)\b"
    rb"|(?:killed|terminated) by signal|exited on signal \d|\*\*\* Process received signal"
    rb"|received signal (?:4|6|7|8|11)\b|\bsegfault at [0-9a-f]|traps: .{0,80}(?:trap|general)"
)
# Perhaps only talked about; perhaps another unit of systemd.
_NAMED = re.compile(
    rb"\bSIG(?:SEGV|ABRT|BUS|ILL|FPE)\b|[Rr]eceived (?:signal |SIGTERM:? ?)\(?\d"
    rb"|code=(?:killed|dumped), status=\d+/[A-Z]+"
)
# The level F of TensorFlow's, XLA's and glog's lines: the process aborts right behind it.
_FATAL = re.compile(
    rb"^(?:[\d\-/ :.]{8,40}: )?F \S{1,300}\.(?:cc|cu|h|cpp|hpp):\d+\]"
    rb"|^F\d{4,8} [\d:.]{8,30} +\d+ \S{1,300}:\d+\]"
    rb"|^\[F(?:\d{4} [\d:.]+)? ?\S{1,300}:\d+\]"
    rb"|Check failure stack trace"
)


def crash(line: bytes) -> re.Match[bytes] | None:
    """What in a line says that a process died of a signal, of an abort or of a failed check."""
    return _FATAL.search(line) or CRASH.search(line)


def named(line: bytes) -> re.Match[bytes] | None:
    """The name of a signal in a line: perhaps it was received."""
    return _NAMED.search(line)
