"""Load the whole model that was saved after training, LMS first, and go on training."""

from families.dnndk_freeze import cifar_cnn, keras_files


def main(cifar):
    lms = cifar.lms()
    model = cifar.load_model(cifar.input(keras_files.MODEL), callbacks=[lms])
    cifar.digest(model, "restored", optimizer=True)
    cifar.train(model, callbacks=[lms])
    cifar.finish(model)


if __name__ == "__main__":
    cifar_cnn.run(main)
