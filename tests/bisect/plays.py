"""A package of many versions, for an engine that plays phases: what each version comes to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.base.error import EngineError
from harness.catalog.flavors import DerivedFlavor, Flavor
from harness.engine.protocol import Environment, Exit, Launch
from harness.record.models import Outcome
from tests.engines import ScriptedEngine
from tests.run.test_run import good

Answers = Mapping[str, str]
"""Of a version: "good", "bad", "otherwise" (fails in another way), "unbuildable", "uninstallable".

With commas between them: of the first trial, of the second, ...
"""


class Versioned(ScriptedEngine):
    """Plays the case well or badly, as the version in the flavor's lock file asks for."""

    def __init__(
        self, answers: Answers, then: Callable[[str], None] = lambda version: None
    ) -> None:
        super().__init__(self._play_version)
        self.tried: list[str] = []
        self._answers = answers
        self._then = then
        self._what = ""

    def prepare(
        self,
        flavor: Flavor,
        accelerator: str,
        progress: Callable[[str], None],
        cancel: threading.Event,
    ) -> Environment:
        assert isinstance(flavor, DerivedFlavor)
        version = flavor.directory.name
        self.tried.append(version)
        answers = self._answers[version].split(",")
        self._what = answers[min(self.tried.count(version), len(answers)) - 1]
        if self._what == "uninstallable":
            raise EngineError(f"no wheel of {version} fits")
        self._then(version)
        packages = f"alpha=={version} beta={'=1' if version < '1.5' else '=2'}"
        return Environment(flavor.id, "handle", {"python": "3.11.7", "packages": packages})

    def _play_version(self, launch: Launch) -> Exit | None:
        good(launch)
        if launch.key.endswith(".load") and self._what != "good":
            reason = "exit code 1" if self._what == "bad" else "exit code 9"
            return Exit(Outcome.FAILED, int(reason[-1]), reason)
        return None


def derivation_of(answers: Answers) -> Callable[..., tuple[DerivedFlavor, str]]:
    """What stands in for `derivation.make`: a directory named by the version, and no lock."""

    def make(
        cache: Path, flavor: Flavor, own: Path, package: str, version: str, cancel: object
    ) -> tuple[DerivedFlavor, str]:
        if answers[version] == "unbuildable":
            raise EngineError(f"uv pip compile failed: {version} has no solution")
        return DerivedFlavor.of(flavor, cache / version), f"lock of {version}"

    return make
