"""Wrong on purpose: load the optimizer's state with nobody there who takes it out again.

`load_state_dict` puts it on the accelerator, where its parameters are. The provider goes on saying
that it is offloaded. bitsandbytes loses the pages of its optimizers so, in
`Optimizer8bit.load_state_dict`; there is no hook to remove there.
"""

from families.torch_plain.digits_cnn import DigitsCnn


def main(digits: DigitsCnn) -> None:
    lms = digits.lms()
    model = digits.build(lms)
    hook = getattr(lms, "load_hook", None)
    if hook is not None:
        hook.remove()
    digits.load(model, digits.input("checkpoint.pt"))
    digits.digest(model, "restored", optimizer=True)
    digits.train(model, callbacks=[lms], done=digits.epochs)
    digits.finish(model, "train")


if __name__ == "__main__":
    DigitsCnn.run(main)
