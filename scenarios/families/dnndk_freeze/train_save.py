"""Train with LMS and save in the three ways of Keras: checkpoint, whole model, JSON and weights."""

from families.dnndk_freeze import keras_files
from families.dnndk_freeze.cifar_cnn import CifarCnn


def main(cifar: CifarCnn) -> None:
    model = cifar.build()
    checkpoint = cifar.keras.callbacks.ModelCheckpoint(cifar.output(keras_files.CHECKPOINT))
    cifar.train(model, callbacks=[cifar.lms(), checkpoint])
    cifar.digest(model, "saved", optimizer=True)
    model.save(cifar.output(keras_files.MODEL))
    model.save_weights(cifar.output(keras_files.WEIGHTS))
    with open(cifar.output(keras_files.ARCHITECTURE), "w") as file:
        file.write(model.to_json())
    keras_files.remember(cifar, model)
    cifar.finish(model)


if __name__ == "__main__":
    CifarCnn.run(main)
