"""What this machine can and cannot run, and what to install."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.base.error import HarnessError, UnavailableError, UsageError
from harness.catalog.catalog import Catalog
from harness.engine import indexes
from harness.engine.docker import build_settings
from harness.engine.docker.engine import DockerEngine
from harness.engine.venv import interpreter
from harness.engine.venv.engine import VenvEngine
from harness.measure.gpu import Gpu, LibraryNotFoundError, NvmlError
from harness.measure.nvml import Nvml
from harness.run import data

# What TensorFlow and CUDA wheels of all flavors take, environments and images together.
_DISK = 20 * 2**30
_SETTINGS = (
    "DOCKER_HOST",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "UV_INDEX_URL",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
)


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was looked at.

    Attributes:
        good: True: there; False: missing, and something cannot run; None: only worth knowing.
        needed: without it nothing runs at all.
    """

    subject: str
    good: bool | None
    text: str
    needed: bool = False


def examine(catalog: Catalog, root: Path, cache: Path) -> list[Diagnosis]:
    """Looks at the GPU, the engines, the interpreters, base images, data, disk and settings."""
    findings = [*_gpus(), *_docker(catalog, cache), *_venv(catalog, cache)]
    findings += [
        Diagnosis(
            f"data {name}",
            True if there else None,
            "there" if there else "not there (`make data`); the shipped digits are used",
        )
        for name, there in data.present(cache / "data").items()
    ]
    free = shutil.disk_usage(root).free
    findings.append(
        Diagnosis(
            "disk",
            free >= _DISK,
            f"{free / 2**30:.0f} GiB free; all environments and images take up to"
            f" {_DISK // 2**30} GiB",
        )
    )
    findings += [
        Diagnosis(f"packages {name}", None, indexes.without_password(value))
        for name, value in indexes.uv_variables().items()
    ]
    findings += [Diagnosis("packages", None, note) for note in build_settings.of_host().notes]
    for name in _SETTINGS:
        value = os.environ.get(name) or os.environ.get(name.lower())
        if value:
            findings.append(Diagnosis(f"setting {name}", None, indexes.without_password(value)))
    return findings


def usable(findings: Iterable[Diagnosis]) -> bool:
    """Whether a run can start at all: one engine is enough."""
    return any(finding.good for finding in findings if finding.needed)


def lines(findings: Iterable[Diagnosis]) -> Iterator[str]:
    """The findings as text."""
    marks = {True: "ok", False: "MISSING", None: "-"}
    for finding in findings:
        yield f"{marks[finding.good]:<8} {finding.subject:<28} {finding.text}"


def _gpus() -> list[Diagnosis]:
    try:
        with Nvml() as nvml:
            gpus: list[Gpu] = nvml.list_gpus()
    except LibraryNotFoundError as problem:
        return [Diagnosis("GPU", False, f"{problem}; the virtual accelerator is used")]
    except NvmlError as problem:  # with GPU=auto too a run ends here
        return [Diagnosis("GPU", False, str(problem))]
    if not gpus:
        return [Diagnosis("GPU", False, "NVML sees none; the virtual accelerator is used")]
    return [
        Diagnosis(f"GPU {gpu.index}", True, f"{gpu.name}, {gpu.uuid}, driver {gpu.driver_version}")
        for gpu in gpus
    ]


def _docker(catalog: Catalog, cache: Path) -> list[Diagnosis]:
    engine = DockerEngine(directories=(cache,), cache=cache)
    try:
        engine.preflight(None)
    except UsageError as problem:
        return [Diagnosis("engine docker", False, str(problem), needed=True)]
    facts = ", ".join(f"{name} {value}" for name, value in engine.facts().items())
    findings = [Diagnosis("engine docker", True, facts, needed=True)]
    for flavor in catalog.flavors:
        for image in flavor.image:
            here, words = engine.base_state(flavor, image)
            subject = f"base {flavor.id} {image.accelerator}"
            findings.append(Diagnosis(subject, True if here else None, words))
    return findings


def _venv(catalog: Catalog, cache: Path) -> list[Diagnosis]:
    try:
        facts = VenvEngine(cache).facts()
    except (HarnessError, OSError) as problem:
        return [Diagnosis("engine venv", False, str(problem), needed=True)]
    findings = [Diagnosis("engine venv", True, f"uv {facts['uv']}", needed=True)]
    for version in dict.fromkeys(flavor.python for flavor in catalog.flavors):
        users = [flavor.id for flavor in catalog.flavors if flavor.python == version]
        try:
            found = interpreter.find(version, download=False)
        except UnavailableError as problem:
            text = f"{problem} (uv tries to download it when it is needed)"
            findings.append(Diagnosis(f"Python {version}", False, text))
            continue
        text = f"{found.path} ({found.source}, {found.version}) for {', '.join(users)}"
        findings.append(Diagnosis(f"Python {version}", True, text))
    return findings
