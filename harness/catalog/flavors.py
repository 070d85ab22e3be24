"""Flavors: pinned software environments, and the images that they are built as."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import Field, model_validator

from harness.catalog.entry import (
    Accelerator,
    Entry,
    FileName,
    HostVariable,
    Id,
    Index,
    Mode,
    ModuleName,
    Value,
    Variable,
    Version,
    Words,
)

KERAS = "keras"
"""The feature of a flavor that has a Keras; what a family requires that says nothing else."""


class Image(Entry):
    """One way to build a flavor's image.

    Attributes:
        base: the base image, pinned by digest where it is known (`name:tag@sha256:...`).
        requirements: file of hash-locked requirements beside flavor.toml.
        min_compute_capability, max_compute_capability: GPUs that the base supports, inclusive.
    """

    accelerator: Accelerator
    base: str = Field(min_length=1)
    requirements: FileName
    min_compute_capability: Version | None = None
    max_compute_capability: Version | None = None

    def supports(self, accelerator: str, capability: tuple[int, int] | None) -> bool:
        """Whether the image runs on this accelerator, of this compute capability if known."""
        if self.accelerator != accelerator:
            return False
        if capability is None:
            return True
        low, high = _version(self.min_compute_capability), _version(self.max_compute_capability)
        return (low is None or capability >= low) and (high is None or capability <= high)


class Flavor(Entry):
    """A pinned software environment.

    Attributes:
        keras: what `KERAS` is set to for the phases: "tf.keras", "keras", or "none" where models
            are the backend's own.
        mode: how models run: "session" (graph), "function" (traced or compiled functions) or
            "eager" (one operation after the other).
        python: the interpreter that the requirements were locked for, e.g. "3.7".
        requirements: for the `venv` engine, per accelerator, the file of hash-locked requirements.
        indexes: package indexes, beside the usual one, that the requirements for an accelerator
            come from.
        preload: modules that take long to import and do nothing else: they start no thread and
            open no device. The venv engine imports them once and forks the phases.
        features: what scenarios may require of the flavor, beside `keras` where it has one.
        lacks: features that the flavor does not have, each with the reason. `predict_swapping` is
            no scenario's: without it a phase that predicts has nothing to swap.
        providers: the only providers whose cases it has; none: every one's that works in it.
        packages: names of the distributions that its requirements lock, canonical.
        variables: more environment variables for every phase.
        host_variables: variables of the host that a phase on a GPU gets as well, where it is a
            process of the host: what tells the framework where CUDA is.
    """

    id: Id
    directory: Path
    description: Words
    keras: Value
    mode: Mode
    python: Version
    requirements: dict[Accelerator, FileName]
    indexes: dict[Accelerator, tuple[Index, ...]] = {}
    preload: tuple[ModuleName, ...] = ()
    features: tuple[Id, ...] = ()
    lacks: dict[Id, Words] = {}
    providers: tuple[Id, ...] = ()
    packages: frozenset[str] = frozenset()
    variables: dict[Variable, Value] = {}
    host_variables: tuple[HostVariable, ...] = ()
    image: tuple[Image, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _says_it_once(self) -> Flavor:
        both = next((name for name in self.host_variables if name in self.variables), None)
        if both is not None:
            raise ValueError(f"{both} is set by variables: the host's would have no effect")
        return self

    def inherited(self, host: Mapping[str, str]) -> dict[str, str]:
        """Of a host's variables, those that are set and that the flavor names."""
        return {name: host[name] for name in self.host_variables if host.get(name)}

    @property
    def backend(self) -> str:
        """What computes: the backend of Keras 3, and TensorFlow for every other Keras."""
        return self.variables.get("KERAS_BACKEND", "tensorflow")

    @property
    def recipes(self) -> Path:
        """The directory `docker` of the checkout: what the images of all flavors are made with."""
        return self.directory.parent.parent

    @property
    def has(self) -> frozenset[str]:
        """All that scenarios may require of it and get."""
        return frozenset(self.features) | (frozenset() if self.keras == "none" else {KERAS})

    def lacking(self, required: Iterable[str]) -> str | None:
        """Why the flavor does not have what is required, or None where it has."""
        missing = next((name for name in required if name not in self.has), None)
        return None if missing is None else self.lacks.get(missing, f"the flavor has no {missing}")


class DerivedFlavor(Flavor):
    """A flavor with another version of one of its packages.

    It has the id of the flavor that it is derived from, so that its cases are that one's. No file
    makes one.

    Attributes:
        directory: holds its own requirements, of the same names, and nothing else.
        base: the flavor that it is derived from.
    """

    base: Flavor

    @property
    def recipes(self) -> Path:
        """As of the flavor that it is derived from."""
        return self.base.recipes

    @staticmethod
    def of(base: Flavor, directory: Path) -> DerivedFlavor:
        """The flavor with the requirements that are in another directory."""
        fields = {name: getattr(base, name) for name in Flavor.model_fields}
        return DerivedFlavor(**{**fields, "directory": directory, "base": base})


def _version(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)\.(\d+)", text)
    assert match  # the field's pattern guarantees it
    return int(match[1]), int(match[2])
