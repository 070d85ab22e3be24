"""Lines of the kernel, the shell and the C++ library about the end of a process."""

from __future__ import annotations

import re

from harness.logs.grammar.needles import Needle

MEMORY_NEEDLES: tuple[Needle, ...] = (b"ut of memory", b"Killed", b"std::bad_alloc")
MEMORY = re.compile(
    rb"std::bad_alloc|[Mm]emory cgroup out of memory|Out of memory: Kill"
    rb"|^Killed\s*$|: line \d+:\s+\d+ Killed\b"
)
