"""Train with LMS, save the whole model: layers, weights and optimizer."""

from families.proof_cnn.proof_cnn import ProofCnn


def main(proof: ProofCnn) -> None:
    model = proof.build()
    proof.train(model, callbacks=[proof.lms()])
    proof.digest(model, "saved", optimizer=True)
    model.save(proof.output(proof.file))
    proof.finish(model)


if __name__ == "__main__":
    ProofCnn.run(main)
