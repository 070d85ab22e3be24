"""Train from a generator with LMS; save weights in two formats, and then the whole model.

One training for three files, since most of this phase is Keras making the graph. The whole model
comes last: writing it as HDF5 can take the optimizer from the model.

The name without extension is a TensorFlow checkpoint to tf.keras, an HDF5 file to keras-team Keras.
"""

from families.resnet50_generator.resnet50 import Resnet50


def main(resnet: Resnet50) -> None:
    model = resnet.build()
    resnet.train(model, callbacks=[resnet.lms()])
    resnet.digest(model, "saved", optimizer=True)
    model.save_weights(resnet.output("checkpoints", "my_checkpoint"))
    model.save_weights(resnet.output("h5weights.h5"))
    print("weights saved")
    model.save(resnet.output("my_resnet_model.h5"))
    print("model saved")
    resnet.finish(model)


if __name__ == "__main__":
    Resnet50.run(main)
