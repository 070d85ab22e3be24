"""Train with LMS for as long as the two phases of a scenario, without a break."""

from families.dnndk_freeze.cifar_cnn import CifarCnn


def main(cifar: CifarCnn) -> None:
    model = cifar.build()
    cifar.train(model, callbacks=[cifar.lms()], epochs=2 * cifar.epochs)
    cifar.finish_straight(model)


if __name__ == "__main__":
    CifarCnn.run(main)
