"""Train a convolutional net with LMS; evaluate it and save a checkpoint after every epoch."""

from families.metagraph import convnet, experiment


def main(trial):
    tf = trial.tf
    with trial.accelerated_graph() as graph:
        convnet.build(tf)
        convnet.state_shapes(graph)
        saver = tf.train.Saver(max_to_keep=None)
        saver.export_meta_graph(trial.unswapped_meta_graph())
        trial.lms().run(graph)
        with trial.session(graph) as sess:
            sess.run(convnet.INITIALISE)
            print("epoch, test_accuracy, test_loss")
            for epoch in range(experiment.EPOCHS + 1):
                if epoch:
                    trial.train_epoch(sess, epoch)
                trial.evaluate(sess, epoch)
                saver.save(sess, trial.checkpoint_prefix(), global_step=epoch)
            trial.save_results()
            trial.claim_saved(graph)
            trial.digest(sess, "saved")
            trial.finish(sess, "train")


if __name__ == "__main__":
    experiment.run(main)
