"""Train as the phases do that save and load between, without that break."""

from families.torch_plain.digits_cnn import DigitsCnn


def main(digits: DigitsCnn) -> None:
    lms = digits.lms()
    model = digits.build(lms)
    digits.train(model, callbacks=[lms], epochs=2 * digits.epochs)
    digits.finish_straight(model)


if __name__ == "__main__":
    DigitsCnn.run(main)
