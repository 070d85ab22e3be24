"""Build the model, LMS first, load its weights from HDF5, and go on training from a generator.

LMS comes before the weights, for the reason that is in `loadweights_train.py`.
"""

from families.resnet50_generator.resnet50 import Resnet50


def main(resnet: Resnet50) -> None:
    model = resnet.build()
    lms = resnet.lms()
    lms.set_model(model)
    resnet.load_weights(model, resnet.input("h5weights.h5"))
    print("weights loaded")
    resnet.digest(model, "restored")
    resnet.train(model, callbacks=[lms])
    resnet.finish(model)


if __name__ == "__main__":
    Resnet50.run(main)
