"""A run in shards, as a service is told of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from harness.base.error import UsageError

Kind = Literal["slurm", "jenkins", "kubernetes", "github", "gitlab"]
KINDS: tuple[Kind, ...] = get_args(Kind)

IMAGE = "lms-harness-pod-{flavor}"
CLAIM = "lms-reports"

# A Job of Kubernetes gives its name to its pods, with the flavor, an index and a suffix behind it,
# and a name there has 63 characters at most.
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?")
_MOST = 50


@dataclass(frozen=True)
class Part:
    """A plan that is merged into one run.

    Attributes:
        shards: how many it is run in.
        options: what every shard of it is told beside those of the job.
        flavor: the one whose image it runs in, or "" where flavors are not in images.
    """

    shards: int
    options: tuple[str, ...] = ()
    flavor: str = ""


@dataclass(frozen=True)
class Job:
    """What is to be run in shards.

    Attributes:
        parts: one, or on Kubernetes one for each flavor.
        options: of `harness run`, for each shard: what to run, and how.
        gpu: whether each shard gets a GPU.
        docker: whether phases run in containers of a daemon for certain.
        flavors: what is run.
        root: the checkout on this machine.
        python: the interpreter of the harness on this machine.
        reports: where the runs go.
        name: of this run; a name is of one run only.
        image: of pods, with `{flavor}` where its flavor stands.
        claim: the volume claim for reports of pods.
    """

    parts: tuple[Part, ...]
    options: tuple[str, ...]
    gpu: bool
    docker: bool
    flavors: tuple[str, ...]
    root: Path
    python: Path
    reports: PurePosixPath
    name: str = "lms"
    image: str = IMAGE
    claim: str = CLAIM

    def __post_init__(self) -> None:
        """Raises UsageError for what would be read as something else in a generated file."""
        words = [word for part in self.parts for word in part.options]
        words += [*self.options, self.image, self.claim]
        words += [str(path) for path in (self.root, self.python, self.reports)]
        for word in words:
            odd = next((letter for letter in word if not letter.isprintable()), None)
            if odd is not None:
                raise UsageError(
                    f"ci-generate: {word!r} holds the character U+{ord(odd):04X}, which does not"
                    " print: a file that people review must show all that it says"
                )
        if _NAME.fullmatch(self.name) is None:
            raise UsageError(
                f"--name: {self.name!r} is no name of a run: at most 30 of a-z, 0-9 and -"
            )

        for part in self.parts:
            if len(self.name_of(part)) > _MOST:
                raise UsageError(f"--name: {self.name_of(part)} is longer than {_MOST} characters")

    def name_of(self, part: Part) -> str:
        """What a part is called on Kubernetes."""
        return f"{self.name}-{part.flavor.replace('_', '-')}".rstrip("-")

    def image_of(self, part: Part) -> str:
        """The image that a part's pods run."""
        return self.image.replace("{flavor}", part.flavor)
