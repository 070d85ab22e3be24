"""Train as the phases do that save and load a model between, without that break."""

from families.proof_cnn.proof_cnn import ProofCnn


def main(proof: ProofCnn) -> None:
    model = proof.build()
    proof.train(model, callbacks=[proof.lms()], epochs=2 * proof.epochs)
    proof.finish_straight(model)


if __name__ == "__main__":
    ProofCnn.run(main)
