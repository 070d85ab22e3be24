"""Load the subclassed model that was saved after it was traced, and go on training."""

from common import claim, digest
from families.distribute import mnist_cnn, subclassed


def main(mnist):
    with mnist.tf.device(mnist.device):
        loaded = mnist.tf.saved_model.load(mnist.input("traced"))
        claim.state("signatures of what was saved after fit", 1, len(loaded.signatures))
        model = mnist.keras.models.load_model(mnist.input("traced"))
        digest.weights(mnist.runtime, model, "restored")
        digest.predictions(model.predict_on_batch(subclassed.fixed_batch()), "restored")
        mnist.fit(model, subclassed.dataset(mnist), epochs=subclassed.EPOCHS)
        mnist.trace(model)


if __name__ == "__main__":
    mnist_cnn.run(main)
