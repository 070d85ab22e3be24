"""Train from a generator with LMS, save the whole model: layers, weights and optimizer."""

from families.resnet50_generator.resnet50 import Resnet50


def main(resnet: Resnet50) -> None:
    model = resnet.build()
    resnet.train(model, callbacks=[resnet.lms()])
    resnet.digest(model, "saved", optimizer=True)
    model.save(resnet.output("my_resnet_model.h5"))
    print("model saved")
    resnet.finish(model)


if __name__ == "__main__":
    Resnet50.run(main)
