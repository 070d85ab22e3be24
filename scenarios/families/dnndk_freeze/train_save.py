"""Train with LMS and save in the three ways of Keras: checkpoint, whole model, JSON and weights."""

from families.dnndk_freeze import cifar_cnn, keras_files


def main(cifar):
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
    cifar_cnn.run(main)
