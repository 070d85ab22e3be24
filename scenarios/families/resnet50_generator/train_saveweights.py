"""Train from a generator with LMS, save the weights under a name without extension.

tf.keras writes a TensorFlow checkpoint, keras-team Keras an HDF5 file of that name.
"""

from families.resnet50_generator.resnet50 import Resnet50


def main(resnet: Resnet50) -> None:
    model = resnet.build()
    resnet.train(model, callbacks=[resnet.lms()])
    resnet.digest(model, "saved")
    model.save_weights(resnet.output("checkpoints", "my_checkpoint"))
    print("weights saved")
    resnet.finish(model)


if __name__ == "__main__":
    Resnet50.run(main)
