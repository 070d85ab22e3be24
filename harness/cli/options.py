"""Options that several commands share, and what they mean for a run."""

from __future__ import annotations

import json
import math
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from harness.base import directory
from harness.base.error import UsageError
from harness.catalog import parameters as swapping
from harness.catalog import providers
from harness.catalog.catalog import Catalog
from harness.catalog.providers import BUILTIN, Provider
from harness.catalog.variants import Depth
from harness.comparison import source
from harness.comparison.baseline import Baseline
from harness.engine.protocol import Engine
from harness.plan import planner
from harness.run import data
from harness.run.settings import Settings

# NVML sees a peak move only where a step holds more than the driver's own memory varies by.
ACTIVATIONS_MIB = 1024

_FunctionT = TypeVar("_FunctionT", bound=Callable[..., Any])


def combined(*options: Callable[[_FunctionT], _FunctionT]) -> Callable[[_FunctionT], _FunctionT]:
    """Several options as one decorator."""

    def decorate(function: _FunctionT) -> _FunctionT:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


class Finite(click.FloatRange):
    """A finite number within a range; `nan` is within every one that click looks at."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number", param, ctx)
        return number


def patterns(name: str, what: str) -> Callable[[_FunctionT], _FunctionT]:
    """An option that selects a part of the catalog: given again, or a list with commas or blanks.

    No id holds either, so neither does a pattern of ids.
    """

    def split(
        context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
    ) -> tuple[str, ...]:
        found = tuple(re.split(r"[\s,]+", ",".join(values).strip(", \t\n")))
        if values and found == ("",):
            raise click.BadParameter(f"{values[0]!r} holds no pattern")
        return found if values else ()

    return click.option(
        f"--{name}",
        f"{name}_patterns",
        multiple=True,
        metavar="PATTERNS",
        envvar=f"HARNESS_{name.upper()}",
        callback=split,
        help=f"Only {what} that match one of these shell patterns (a,b or 'a b'; repeatable).",
    )


depth = click.option(
    "--depth",
    type=click.Choice(get_args(Depth)),
    default="pairs",
    show_default=True,
    envvar="HARNESS_DEPTH",
    help="Of families with variants: as many as hold all pairs that are wanted, or every one.",
)
selection = combined(
    patterns("flavors", "flavors"),
    patterns("families", "families"),
    patterns("scenarios", "scenarios"),
    depth,
)
where = combined(
    click.option(
        "--gpu",
        default="auto",
        show_default=True,
        envvar="HARNESS_GPU",
        help="auto (one), none, all, or indices and UUIDs with commas.",
    ),
    click.option(
        "--engine",
        type=click.Choice(["auto", "docker", "venv"]),
        default="auto",
        show_default=True,
        envvar="HARNESS_ENGINE",
    ),
)
provider = click.option(
    "--provider",
    default=BUILTIN.id,
    show_default=True,
    envvar=["HARNESS_PROVIDERS", "LMS_PROVIDER"],
    metavar="PROVIDERS",
    help="What does the swapping: names, or path/to/file.py:Class; several with commas.",
)
how = combined(
    provider,
    click.option(
        "--lms-path",
        type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
        envvar="LMS_PATH",
        help="Directory that holds the foreign provider's package.",
    ),
    click.option(
        "--lms-params",
        default="",
        envvar="LMS_PARAMS",
        metavar="JSON",
        help="Swapping parameters; the default is maximum swapping.",
    ),
    click.option(
        "--data",
        "data_directory",
        type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
        envvar="DATA_DIR",
        help="Data sets; without them the small set that is shipped is used.",
    ),
    click.option(
        "--reports",
        type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
        envvar="HARNESS_REPORTS",
        help="Where the run's directory is made  [default: reports]",
    ),
    click.option(
        "--gpu-wait",
        "gpu_wait_s",
        type=Finite(0, 10**6),
        default=120.0,
        show_default=True,
        envvar="HARNESS_GPU_WAIT",
        help="Seconds to wait for the GPU's memory to be clear before a phase starts.",
    ),
    click.option("--keep", is_flag=True, envvar="HARNESS_KEEP", help="Keep all artifacts."),
)
strict = click.option(
    "--strict", is_flag=True, envvar="HARNESS_STRICT", help="A known defect fails the run."
)
baseline = click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    envvar="HARNESS_BASELINE",
    metavar="RUN",
    help="A run, a record or an accepted baseline that the reports compare this run with.",
)
execution = combined(
    click.option(
        "--share/--no-share",
        default=True,
        envvar="HARNESS_SHARE",
        help="Run a phase once when several scenarios need the same.",
    ),
    click.option(
        "--jobs",
        type=click.IntRange(1, 256),
        envvar="HARNESS_JOBS",
        help="Phases at a time on the CPU.",
    ),
)
activations = click.option(
    "--activations-mib",
    type=click.IntRange(0, 10**7),
    default=ACTIVATIONS_MIB,
    show_default=True,
    envvar="HARNESS_ACTIVATIONS_MIB",
    help="On a GPU, what a step without swapping has to hold at least: batches are scaled; 0: not.",
)


def _times(flag: str, name: str, variable: str, usual: str, what: str) -> Callable[..., Any]:
    """An option that is a whole number from 1; any other text is one line.

    Args:
        name: what `make` calls it.
        variable: of the environment.
    """

    def number(context: click.Context, parameter: click.Parameter, value: str) -> int:
        if not re.fullmatch(r"0*[1-9][0-9]{0,5}", value.strip()):
            raise UsageError(f"{flag} ({name}): {value!r} is no whole number from 1 to 999999")
        return int(value)

    return click.option(
        flag,
        default=usual,
        show_default=True,
        metavar="N",
        envvar=variable,
        callback=number,
        help=what,
    )


repeats = _times("--repeats", "N", "HARNESS_REPEATS", "20", "How often the plan is run.")
repeat = _times(
    "--repeat",
    "REPEAT",
    "HARNESS_REPEAT",
    "1",
    "How often the case is run; of several the verdicts of each check are counted.",
)


# What is run, and how: a run that goes on does the same. No file is among them: a record may be
# anybody's, and what it names must be neither read nor executed.
RESUMED = (
    *("flavors_patterns", "families_patterns", "scenarios_patterns", "depth", "gpu", "engine"),
    *("provider", "lms_params", "share", "jobs", "activations_mib", "strict"),
)


def given(how: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say what is run, for the record; none of a command that selects nothing."""
    if "flavors_patterns" not in how:
        return {}
    return {name: how[name] for name in RESUMED if how.get(name) not in (None, (), "")}


def cache_of(root: Path) -> Path:
    """Where a checkout keeps environments, build logs and downloaded data."""
    return root / ".cache"


def run_directory(root: Path, name: Path, reports: Path | None = None) -> Path:
    """The directory of a run that is named by a path, or by its id alone.

    Args:
        reports: where runs are, if not in those of the checkout.
    """
    own = (reports or root / "reports") / name
    return own if not name.exists() and own.is_dir() else name


def baseline_of(root: Path, name: Path) -> Baseline:
    """The baseline that a path names, or a run's id alone.

    Raises:
        UsageError: there is none that can be read.
    """
    return source.load(run_directory(root, name))


def shown(path: Path) -> str:
    """A path as short as it can be given from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def providers_of(catalog: Catalog, text: str) -> tuple[Provider, ...]:
    """The providers that an option names.

    Raises:
        UsageError: there is no such provider, or its file does not say what it must.
    """
    names = [name.strip() for name in text.split(",")]
    return providers.chosen(catalog.shipped, [name for name in names if name] or [BUILTIN.id])


def parameters_of(
    root: Path, text: str, chosen: Iterable[Provider], lms_path: Path | None
) -> Mapping[str, Any]:
    """The swapping parameters: those given as JSON, else maximum swapping.

    Raises:
        UsageError: they are no JSON object of whole numbers, no provider knows them, or the
            provider needs a path that holds its package.
    """
    package = "tensorflow_large_model_support"
    tflms = any(provider.id == "tflms" for provider in chosen)
    if tflms and (lms_path is None or not (lms_path / package).is_dir()):
        where = "" if lms_path is None else f"; there is none in {lms_path}"
        raise UsageError(
            "--provider tflms needs --lms-path (LMS_PATH): the directory that holds the package"
            f" {package}{where}"
        )
    if not text.strip():
        return planner.MAXIMUM_SWAPPING
    try:
        return swapping.parse(root, text)
    except ValueError as problem:
        usual = json.dumps(dict(planner.MAXIMUM_SWAPPING))
        raise UsageError(f"--lms-params {problem} (LMS_PARAMS), such as '{usual}'") from None


def with_providers(
    root: Path, selected: Catalog, how: Mapping[str, Any]
) -> tuple[Catalog, tuple[Provider, ...], Mapping[str, Any]]:
    """What is selected with the providers that options name, these, and their parameters.

    Args:
        how: values of the options in `how`.

    Raises:
        UsageError: one is wrong, or no case is selected.
    """
    chosen = providers_of(selected, how["provider"])
    parameters = parameters_of(root, how["lms_params"], chosen, how["lms_path"])
    selected = selected.swapping_by(chosen)
    selected.require_case()
    return selected, chosen, parameters


def require_places(settings: Settings, engine: Engine) -> None:
    """Tries what a run needs of the file system, before anything is built.

    Raises:
        UsageError: reports cannot be written, nor what the engine keeps; or data is damaged.
        OSError: the machine cannot, as with a full disk.
    """
    directory.require_writable(settings.reports, "REPORTS names another directory for reports")
    cache = cache_of(settings.root)
    if engine.name == "venv":
        directory.require_writable(cache, "environments and processes are kept there")
    if not settings.data.is_dir():
        directory.require_writable(settings.data, "DATA_DIR names another directory for data")
    data.require_intact(settings.data)


def settings_of(
    root: Path, how: Mapping[str, Any], chosen: Iterable[Provider], notes: tuple[str, ...]
) -> Settings:
    """The settings of a run, with the options that its reproduction needs as well.

    Args:
        how: values of the options in `where` and `how`, and of those in `execution`, `strict`,
            `baseline` and `activations` where a command has them.
        chosen: what swaps.
        notes: the fallbacks that were taken.
    """
    activations_mib = how.get("activations_mib", ACTIVATIONS_MIB)
    options = {}
    if how["gpu"] != "auto":
        options["GPU"] = how["gpu"]
    if how["engine"] != "auto":
        options["ENGINE"] = how["engine"]
    if activations_mib != ACTIVATIONS_MIB:
        options["ACTIVATIONS_MIB"] = str(activations_mib)
    for name, key in (("LMS_PATH", "lms_path"), ("LMS_PARAMS", "lms_params")):
        if how[key]:
            options[name] = str(how[key])
    if how["data_directory"]:
        options["DATA_DIR"] = str(how["data_directory"])
    return Settings(
        root=root,
        reports=how["reports"] or root / "reports",
        data=how["data_directory"] or cache_of(root) / "data",
        lms_path=how["lms_path"],
        providers={provider.id: provider for provider in chosen if provider.file is not None},
        jobs=how.get("jobs"),
        keep=how["keep"],
        share=how.get("share", True),
        gpu_wait_s=how["gpu_wait_s"],
        command=shlex.join(["harness", *sys.argv[1:]]),
        options=options,
        notes=notes,
        strict=how.get("strict", False),
        baseline=None if how.get("baseline") is None else baseline_of(root, how["baseline"]),
        given=given(how),
    )
