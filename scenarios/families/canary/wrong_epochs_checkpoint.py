"""Load every epoch as it should be, but one with the checkpoint of the epoch before."""

from families.metagraph import experiment, load

WRONG = 3


class OneEpochBehind(experiment.Experiment):
    """Mistakes one checkpoint; all that is compared at the last epoch is right."""

    def checkpoint(self, epoch):
        """As inherited, but for one epoch."""
        return super(OneEpochBehind, self).checkpoint(epoch - 1 if epoch == WRONG else epoch)


if __name__ == "__main__":
    experiment.run(load.main, OneEpochBehind)
