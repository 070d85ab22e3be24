"""Train a convolutional net with LMS for one epoch more than is saved, without a break."""

from families.metagraph import convnet
from families.metagraph.experiment import EPOCHS, Experiment


def main(trial: Experiment) -> None:
    with trial.accelerated_graph() as graph:
        convnet.build(trial.tf)
        trial.lms().run(graph)
        with trial.session(graph) as sess:
            sess.run(convnet.INITIALISE)
            for epoch in range(1, EPOCHS + 2):
                trial.train_epoch(sess, epoch)
            trial.finish_straight(sess)


if __name__ == "__main__":
    Experiment.run(main)
