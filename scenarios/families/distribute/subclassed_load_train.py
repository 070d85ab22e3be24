"""Load the subclassed model that was saved after it was traced, and go on training."""

from common import marker
from families.distribute.subclassed import Subclassed


def main(subclassed: Subclassed) -> None:
    with subclassed.tf.device(subclassed.device):
        path = subclassed.traced()
        loaded = subclassed.tf.saved_model.load(path)
        marker.claim("signatures of what was saved after fit", 1, len(loaded.signatures))
        model = subclassed.keras.models.load_model(path)
        subclassed.digest(model, "restored")
        subclassed.train(model, callbacks=[subclassed.lms()], done=subclassed.epochs)
        subclassed.finish(model)


if __name__ == "__main__":
    Subclassed.run(main)
