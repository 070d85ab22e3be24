"""Load the whole model, LMS first, and go on training."""

from families.proof_cnn.proof_cnn import ProofCnn


def main(proof: ProofCnn) -> None:
    lms = proof.lms()
    model = proof.load_model(proof.input(proof.file), callbacks=[lms])
    print("model loaded")
    proof.digest(model, "restored", optimizer=True)
    proof.train(model, callbacks=[lms], done=proof.epochs)
    proof.finish(model)


if __name__ == "__main__":
    ProofCnn.run(main)
