"""The optimizers of all releases, each with options that have state of their own.

Where a release has no learning-rate schedules `decay` is what makes the rate fall, and where it has
no `decay` a schedule does. Both count the steps.
"""

import typing

if typing.TYPE_CHECKING:
    from families.keras_state.variant import Variant

Optimizer = typing.Any

_DECAY = 0.1


def _falling(variant: "Variant", rate: float) -> typing.Dict[str, typing.Any]:
    """Arguments that make the rate fall with each step."""
    if variant.generation in ("keras2", "tf1"):
        return {_rate_name(variant): rate, "decay": _DECAY}
    schedule = variant.keras.optimizers.schedules.InverseTimeDecay(
        rate, decay_steps=1, decay_rate=_DECAY
    )
    return {"learning_rate": schedule}


def _rate(variant: "Variant", rate: float) -> typing.Dict[str, typing.Any]:
    return {_rate_name(variant): rate}


def _rate_name(variant: "Variant") -> str:
    """What the release calls the learning rate: keras-team's 2.2 knows the short name alone."""
    return "lr" if variant.generation == "keras2" else "learning_rate"


def sgd_momentum(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.SGD(
        momentum=0.9, nesterov=True, clipnorm=1.0, **_rate(variant, 0.05)
    )


def sgd_schedule(variant: "Variant") -> Optimizer:
    schedules = variant.keras.optimizers.schedules
    rate = schedules.PiecewiseConstantDecay([3, 6, 8], [0.1, 0.05, 0.02, 0.01])
    return variant.keras.optimizers.SGD(rate, momentum=0.5)


def rmsprop_decay(variant: "Variant") -> Optimizer:
    more = {} if variant.generation == "keras2" else {"centered": True, "momentum": 0.5}
    return variant.keras.optimizers.RMSprop(**_falling(variant, 0.01), **more)


def adagrad_decay(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.Adagrad(**_falling(variant, 0.05))


def adadelta(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.Adadelta(**_rate(variant, 1.0))


def adam(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.Adam(**_rate(variant, 0.01))


def adam_amsgrad(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.Adam(amsgrad=True, clipvalue=0.5, **_falling(variant, 0.01))


def adamax(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.Adamax(**_falling(variant, 0.01))


def nadam(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.Nadam(**_rate(variant, 0.01))


def ftrl(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.Ftrl(l1_regularization_strength=0.001, **_rate(variant, 0.05))


def adamw(variant: "Variant") -> Optimizer:
    """In Keras 3 gradients of three steps are one update: the epoch ends within one."""
    more = {"gradient_accumulation_steps": 3} if variant.generation == "keras3" else {}
    return variant.keras.optimizers.AdamW(
        weight_decay=0.01, global_clipnorm=1.0, **_falling(variant, 0.01), **more
    )


def adafactor(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.Adafactor(**_rate(variant, 0.01))


def lion(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.Lion(**_rate(variant, 0.005))


def adam_ema(variant: "Variant") -> Optimizer:
    """Overwrites the weights by their average in each third step too, and so counts steps."""
    return variant.keras.optimizers.Adam(
        use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3, **_rate(variant, 0.01)
    )


def loss_scale(variant: "Variant") -> Optimizer:
    """A scale that grows twice in an epoch."""
    inner = adam(variant)
    create = (
        variant.keras.optimizers.LossScaleOptimizer
        if variant.generation == "keras3"
        else variant.keras.mixed_precision.LossScaleOptimizer
    )
    return create(inner, initial_scale=1024.0, dynamic_growth_steps=2)


def legacy_adam(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.legacy.Adam(amsgrad=True, decay=_DECAY, **_rate(variant, 0.01))


def lamb(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.Lamb(**_rate(variant, 0.02))


def muon(variant: "Variant") -> Optimizer:
    return variant.keras.optimizers.Muon(**_rate(variant, 0.02))


OPTIMIZERS: typing.Dict[str, typing.Callable[["Variant"], Optimizer]] = {
    create.__name__: create
    for create in (
        *(sgd_momentum, sgd_schedule, rmsprop_decay, adagrad_decay, adadelta),
        *(adam, adam_amsgrad, adamax, nadam, ftrl),
        *(adamw, adafactor, lion, adam_ema, loss_scale),
        *(legacy_adam, lamb, muon),
    )
}
