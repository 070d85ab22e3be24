"""Train for all epochs with LMS, without a break: what a load has to end with."""

from families.keras_state.variant import Variant


def main(variant: Variant) -> None:
    model = variant.compiled()
    lms = variant.lms()
    if variant.averages:
        # Keras overwrites the weights by their average when `fit` ends, as documented. What has to
        # be equal is a training of two `fit`s in one process and one of two `fit`s in two.
        variant.train(model, lms, until=variant.saved_after)
        variant.train(model, lms, begin=variant.saved_after, until=variant.epochs)
    else:
        variant.train(model, lms, until=variant.epochs)
    variant.mark(model, "final")


if __name__ == "__main__":
    Variant.run(main)
