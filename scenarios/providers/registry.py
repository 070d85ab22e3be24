"""The provider of swapping that the environment asks for."""

import importlib
import typing

from common.errors import refuse
from common.phase import Phase
from common.runtime import Runtime
from providers.interface import Provider


def create(
    runtime: Runtime, training: bool = True, batch_size: typing.Optional[int] = None
) -> Provider:
    """The phase's provider, as a callback of the flavor's Keras.

    training: False where the model will only predict. batch_size: the batch size of training, for
        sizes in reports.

    With a provider that does not know the phase's mode, wrong parameters, or a library that is
    missing, the process ends with exit code 2 and one line.
    """
    provider = find(runtime.phase)
    callback = type("LMSCallback", (provider, runtime.keras.callbacks.Callback), {})
    try:
        created: Provider = callback(runtime, batch_size)
    except (ValueError, ImportError) as error:
        refuse(error)
    created.is_training = training
    return created


def find(phase: Phase) -> typing.Type[Provider]:
    """The class of a phase's provider; one that cannot swap in the phase ends the process."""
    package = phase.backend if phase.provider == "builtin" else phase.provider
    module: typing.Any = importlib.import_module("providers." + package)
    try:
        provider: typing.Type[Provider] = module.choose(phase)
    except ValueError as problem:
        refuse(problem)
    for variable, value, known in (
        ("EXECUTION_MODE", phase.mode, provider.modes),
        ("KERAS_BACKEND", phase.backend, provider.backends),
    ):
        if value not in known:
            needed = " or ".join(known)
            refuse(f"provider {phase.provider} needs {variable} to be {needed}, not {value}")
    return provider
