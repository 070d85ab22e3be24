"""Load in the variant's format, LMS first, and train for the epochs that are left."""

from families.keras_state import formats
from families.keras_state.variant import Variant


def main(variant: Variant) -> None:
    lms = variant.lms()
    model = formats.load(variant, lms)
    variant.mark(model, "restored")
    formats.claim_rematerialised(variant, model)
    more = formats.callbacks(variant)
    variant.train(model, lms, begin=variant.saved_after, until=variant.epochs, more=more)
    variant.mark(model, "final")


if __name__ == "__main__":
    Variant.run(main)
