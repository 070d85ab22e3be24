"""Train from a generator with LMS, save the weights under a name without extension.

tf.keras writes a TensorFlow checkpoint, keras-team Keras an HDF5 file of that name.
"""

from families.resnet50_generator import resnet50


def main(resnet):
    model = resnet.build()
    resnet.train(model, callbacks=[resnet.lms()])
    resnet.digest(model, "saved")
    model.save_weights(resnet.output("checkpoints", "my_checkpoint"))
    print("weights saved")


if __name__ == "__main__":
    resnet50.run(main)
