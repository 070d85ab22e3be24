"""Train, and save the state dicts of the module and of its optimizer."""

from families.torch_plain.digits_cnn import DigitsCnn


def main(digits: DigitsCnn) -> None:
    lms = digits.lms()
    model = digits.build(lms)
    digits.train(model, callbacks=[lms])
    digits.digest(model, "saved", optimizer=True)
    digits.save(model, digits.output("checkpoint.pt"))
    digits.finish(model, "train")


if __name__ == "__main__":
    DigitsCnn.run(main)
