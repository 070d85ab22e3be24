"""Load the last epoch's checkpoint without any code of the model, and train one epoch more.

The training step is an operation of the imported graph like any other, found by its name, and its
backward operations have their swap operations already.
"""

from families.metagraph.experiment import Experiment


def main(trial: Experiment) -> None:
    tf = trial.tf
    epoch = trial.saved_epochs()[-1]
    with tf.Graph().as_default() as graph:
        saver = tf.train.import_meta_graph(trial.meta_graph(epoch))
        trial.claim_imported(graph, epoch)
        trial.lms().run(graph)
        with trial.session(graph) as sess:
            saver.restore(sess, trial.checkpoint(epoch))
            trial.digest(sess, "restored", optimizer=True)
            trial.evaluate(sess, epoch)
            trial.train_epoch(sess, epoch + 1)
            trial.evaluate(sess, epoch + 1)
            trial.finish(sess, "train")


if __name__ == "__main__":
    Experiment.run(main)
