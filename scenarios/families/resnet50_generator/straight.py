"""Train from a generator with LMS for as long as the two phases of a scenario, without a break."""

from families.resnet50_generator.resnet50 import Resnet50


def main(resnet: Resnet50) -> None:
    model = resnet.build()
    resnet.train(model, callbacks=[resnet.lms()], epochs=2 * resnet.epochs)
    resnet.finish_straight(model)


if __name__ == "__main__":
    Resnet50.run(main)
