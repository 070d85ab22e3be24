"""Load the SavedModel as a layer of another model, and train that on replicas."""

from families.distribute import embedding
from families.distribute.mnist_cnn import MnistCnn


def main(mnist: MnistCnn) -> None:
    import tensorflow_hub as hub

    with mnist.mirrored_strategy().scope():
        loaded = mnist.load_object(mnist.input("tf_save"))
        x = mnist.keras.layers.Input(shape=(28, 28, 1), name="input_x")
        keras_layer = hub.KerasLayer(loaded, trainable=True)(x)
        model = mnist.keras.Model(x, keras_layer)
        mnist.compile(model)
    mnist.digest(model, "restored")
    with embedding.claimed(model, loaded):
        mnist.train(model, callbacks=[mnist.lms()])
    mnist.finish(model)


if __name__ == "__main__":
    MnistCnn.run(main)
