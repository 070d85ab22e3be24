"""Train a convolutional net with LMS; evaluate it and save a checkpoint after every epoch."""

from families.metagraph import convnet
from families.metagraph.experiment import EPOCHS, Experiment


def main(trial: Experiment) -> None:
    tf = trial.tf
    with trial.accelerated_graph() as graph:
        convnet.build(tf)
        convnet.claim_shapes(graph)
        saver = tf.train.Saver(max_to_keep=None)
        saver.export_meta_graph(trial.unswapped_meta_graph())
        trial.lms().run(graph)
        with trial.session(graph) as sess:
            sess.run(convnet.INITIALISE)
            print("epoch, test_accuracy, test_loss")
            for epoch in range(EPOCHS + 1):
                if epoch:
                    trial.train_epoch(sess, epoch)
                trial.evaluate(sess, epoch)
                saver.save(sess, trial.checkpoint_prefix(), global_step=epoch)
            trial.save_results()
            trial.claim_saved(graph)
            trial.digest(sess, "saved", optimizer=True)
            trial.runtime.steps.ran("predict", None)  # this trace is not the end of predictions
            trial.trace(sess, "predict")  # what an evaluation after the load is compared with
            trial.finish(sess, "train")


if __name__ == "__main__":
    Experiment.run(main)
