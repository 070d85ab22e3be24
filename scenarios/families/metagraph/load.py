"""Load each epoch's checkpoint without any code of the model, and evaluate it.

The graph comes from the meta graph, with the swap operations in it; what is asked of it is found
by name.
"""

from families.metagraph.experiment import Experiment


def main(trial: Experiment) -> None:
    tf = trial.tf
    epochs = trial.saved_epochs()
    print("epoch, test_accuracy, test_loss")
    for epoch in epochs:
        with tf.Graph().as_default() as graph:
            saver = tf.train.import_meta_graph(trial.meta_graph(epoch))
            trial.claim_imported(graph, epoch)
            trial.lms(training=False).run(graph)
            with trial.session(graph) as sess:
                saver.restore(sess, trial.checkpoint(epoch))
                trial.evaluate(sess, epoch)
                if epoch == epochs[-1]:
                    trial.digest(sess, "restored", optimizer=True)
                    trial.finish(sess, "predict")
    trial.print_side_by_side()


if __name__ == "__main__":
    Experiment.run(main)
