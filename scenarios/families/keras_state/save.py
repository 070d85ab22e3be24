"""Train for the first epoch with LMS, and save in the variant's format."""

from families.keras_state import formats
from families.keras_state.variant import Variant


def main(variant: Variant) -> None:
    formats.check(variant)
    model = variant.compiled()
    more = formats.callbacks(variant)
    variant.train(model, variant.lms(), until=variant.saved_after, more=more)
    variant.mark(model, "saved")
    formats.save(variant, model)
    formats.note_rematerialised(variant, model)


if __name__ == "__main__":
    Variant.run(main)
