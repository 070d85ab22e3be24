"""Train the subclassed model for as long as the two phases of a scenario, without a break."""

from families.distribute.subclassed import Subclassed


def main(subclassed: Subclassed) -> None:
    with subclassed.tf.device(subclassed.device):
        model = subclassed.build()
        subclassed.compile(model)
        subclassed.train(model, callbacks=[subclassed.lms()], epochs=2 * subclassed.epochs)
        subclassed.finish_straight(model)


if __name__ == "__main__":
    Subclassed.run(main)
