"""Train from a generator with LMS, save the weights in an HDF5 file."""

from families.resnet50_generator.resnet50 import Resnet50


def main(resnet: Resnet50) -> None:
    model = resnet.build()
    resnet.train(model, callbacks=[resnet.lms()])
    resnet.digest(model, "saved")
    model.save_weights(resnet.output("h5weights.h5"))
    print("weights saved")
    resnet.finish(model)


if __name__ == "__main__":
    Resnet50.run(main)
