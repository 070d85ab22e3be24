"""Train with LMS, save the whole model in Keras' own format: layers, weights and optimizer."""

from families.keras_saveload import mnist_cnn


def main(mnist):
    model = mnist.build()
    mnist.train(model, callbacks=[mnist.lms()])
    mnist.digest(model, "saved", optimizer=True)
    model.save(mnist.output("mnistsavedmodel.keras"))
    mnist.finish(model, "train")


if __name__ == "__main__":
    mnist_cnn.run(main)
