"""Makes `common` and `lms` importable, as PYTHONPATH does for a phase."""

from __future__ import annotations

import sys

from tests.scenarios.phases import SCENARIOS

sys.path.insert(0, str(SCENARIOS))
