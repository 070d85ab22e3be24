"""Save a subclassed model before anything has traced it, which cannot work; then train and save."""

from common import claim, digest
from families.distribute import mnist_cnn, subclassed


def main(mnist):
    with mnist.tf.device(mnist.device):
        model = subclassed.create(mnist.keras)
        refused = subclassed.refusal(lambda: model.save(mnist.output("untraced")))
        claim.state("what Model.save raises before any trace", "ValueError", refused)
        mnist.tf.saved_model.save(model, mnist.output("no_signatures"))
        loaded = mnist.tf.saved_model.load(mnist.output("no_signatures"))
        claim.state("signatures of what was saved before any trace", 0, len(loaded.signatures))
        claim.state("save_spec() is None before fit", True, model.save_spec() is None)
        model.compile(optimizer="adam", loss="mean_squared_error")
        mnist.fit(model, subclassed.dataset(mnist), epochs=subclassed.EPOCHS)
        claim.state("save_spec() is None after fit", False, model.save_spec() is None)
        digest.weights(mnist.runtime, model, "saved")
        digest.predictions(model.predict_on_batch(subclassed.fixed_batch()), "saved")
        model.save(mnist.output("traced"))


if __name__ == "__main__":
    mnist_cnn.run(main)
