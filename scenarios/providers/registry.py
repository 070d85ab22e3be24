"""The provider of swapping that the environment asks for."""

import contextlib
import importlib
import importlib.util
import os
import sys
import typing

from common.errors import refuse
from common.phase import Phase
from common.runtime import Runtime
from providers.fault import NEVER, Fault
from providers.interface import Callback, Provider

_OWN = "builtin"
_CONTROL = "off"
_Class = typing.Type[Provider]


def create(
    runtime: Runtime, training: bool = True, batch_size: typing.Optional[int] = None
) -> Provider:
    """The phase's provider, as a callback of the flavor's Keras, or of our own training loop.

    training: False where the model will only predict. batch_size: the batch size of training, for
        sizes in reports.

    With a provider that does not know the phase's mode, wrong parameters, or a library that is
    missing, the process ends with exit code 2 and one line.
    """
    provider = find(runtime.phase)
    base = Callback if runtime.keras is None else runtime.keras.callbacks.Callback
    callback = type("LMSCallback", (provider, base), {})
    try:
        created: Provider = callback(runtime, batch_size)
    except (ValueError, ImportError) as error:
        refuse(error)
    created.is_training = training
    return created


def building(runtime: Runtime) -> typing.ContextManager[typing.Any]:
    """Context in which a script makes the layers of a model; see `Provider.building`."""
    phase = runtime.phase
    if phase.provider in (_OWN, _CONTROL) or phase.fault is not None:
        return contextlib.ExitStack()
    return find(phase).building(runtime)


def find(phase: Phase) -> _Class:
    """The class of a phase's provider; one that cannot swap in the phase ends the process."""
    try:
        provider = _named(phase, phase.provider)
        _require(provider, phase)
        if phase.fault is None or phase.provider in (_OWN, _CONTROL):
            return provider
        if Fault.parse(phase.fault).kind != NEVER:
            raise ValueError(f"LMS_FAULT is {phase.fault!r}: only {_OWN} knows others than {NEVER}")
        from providers.off import switched_off

        return switched_off.claiming(_named(phase, _CONTROL), provider)
    except (ValueError, ImportError) as problem:
        refuse(problem)


def _named(phase: Phase, name: str) -> _Class:
    """The class of a provider by its name, or by a file and the name of the class."""
    path, colon, class_name = name.rpartition(":")
    if colon:
        return _checked(getattr(_imported(path), class_name, None), name)
    module_name = name.partition("-")[0]  # what follows tells several in one file apart
    try:
        module: typing.Any = importlib.import_module(
            "providers." + (phase.backend if name == _OWN else module_name)
        )
    except ModuleNotFoundError as error:
        if error.name != f"providers.{module_name}":
            raise
        raise ValueError(f"LMS_PROVIDER is {name!r}: there is no such provider") from None
    if name == module_name and hasattr(module, "choose"):
        return _checked(module.choose(phase), name)
    classes = [
        entry
        for entry in vars(module).values()
        if isinstance(entry, type) and entry.__dict__.get("name") == name
    ]
    return _checked(classes[0] if len(classes) == 1 else None, name)


def _imported(path: str) -> typing.Any:
    """The module that a file is, wherever it is; made once."""
    name = "provider_" + "".join(c if c.isalnum() else "_" for c in os.path.basename(path)[:-3])
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not os.path.isfile(path):
        raise ValueError(f"LMS_PROVIDER names {path!r}, which is no file of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _checked(found: typing.Any, name: str) -> _Class:
    if not (isinstance(found, type) and issubclass(found, Provider)):
        raise ValueError(f"LMS_PROVIDER is {name!r}, which names no provider class")
    return found


def _require(provider: _Class, phase: Phase) -> None:
    """Raises ValueError where the provider cannot work in the phase."""
    for variable, value, known in (
        ("EXECUTION_MODE", phase.mode, provider.modes),
        ("KERAS_BACKEND", phase.backend, provider.backends),
        ("ACCELERATOR", phase.accelerator, provider.accelerators),
    ):
        if value not in known:
            needed = " or ".join(known)
            raise ValueError(
                f"provider {phase.provider} needs {variable} to be {needed}, not {value}"
            )
