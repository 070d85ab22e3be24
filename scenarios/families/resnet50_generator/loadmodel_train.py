"""Load the whole model, LMS first, and go on training from a generator."""

from families.resnet50_generator.resnet50 import Resnet50


def main(resnet: Resnet50) -> None:
    lms = resnet.lms()
    model = resnet.load_model(resnet.input("my_resnet_model.h5"), callbacks=[lms])
    print("model loaded")
    resnet.digest(model, "restored", optimizer=True)
    resnet.train(model, callbacks=[lms], done=resnet.epochs)
    resnet.finish(model)


if __name__ == "__main__":
    Resnet50.run(main)
