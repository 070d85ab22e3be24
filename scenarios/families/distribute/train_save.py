"""Train on replicas with LMS, and save the model with each of the two APIs, in every format."""

from families.distribute.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    with mnist.mirrored_strategy().scope():
        model = mnist.build()
    mnist.train(model, callbacks=[mnist.lms()])
    mnist.digest(model, "saved", optimizer=True)
    model.save(mnist.output("keras_save.keras"))
    model.save(mnist.output("keras_save.h5"))
    mnist.tf.saved_model.save(model, mnist.output("tf_save"))
    model.save(mnist.output("keras_saved_model"))
    options = mnist.tf.saved_model.SaveOptions(experimental_io_device="/job:localhost")
    model.save(mnist.output("local_save"), options=options)
    mnist.finish(model)


if __name__ == "__main__":
    MnistCnn.run(main)
