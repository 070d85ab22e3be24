"""Save a subclassed model before anything has traced it, which cannot work; then train and save."""

from common import marker
from families.distribute.subclassed import Subclassed, refusal


def main(subclassed: Subclassed) -> None:
    tf = subclassed.tf
    with tf.device(subclassed.device):
        model = subclassed.build()
        refused = refusal(lambda: model.save(subclassed.output("untraced")))
        marker.claim("what Model.save raises before any trace", "ValueError", refused)
        tf.saved_model.save(model, subclassed.output("no_signatures"))
        loaded = tf.saved_model.load(subclassed.output("no_signatures"))
        marker.claim("signatures of what was saved before any trace", 0, len(loaded.signatures))
        marker.claim("save_spec() is None before fit", True, model.save_spec() is None)
        subclassed.compile(model)
        subclassed.train(model, callbacks=[subclassed.lms()])
        marker.claim("save_spec() is None after fit", False, model.save_spec() is None)
        subclassed.digest(model, "saved")
        model.save(subclassed.output("traced"))
        subclassed.finish(model)


if __name__ == "__main__":
    Subclassed.run(main)
