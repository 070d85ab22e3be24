"""Make the module and its optimizer, load the state dicts of both, and go on training."""

from families.torch_plain.digits_cnn import DigitsCnn


def main(digits: DigitsCnn) -> None:
    lms = digits.lms()
    model = digits.build(lms)
    digits.load(model, digits.input("checkpoint.pt"))
    digits.digest(model, "restored", optimizer=True)
    digits.train(model, callbacks=[lms], done=digits.epochs)
    digits.finish(model, "train")


if __name__ == "__main__":
    DigitsCnn.run(main)
