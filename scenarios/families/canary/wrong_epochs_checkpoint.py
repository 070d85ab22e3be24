"""Load every epoch as it should be, but one with the checkpoint of the epoch before."""

from families.metagraph import load
from families.metagraph.experiment import Experiment

WRONG = 3


class OneEpochBehind(Experiment):
    """Mistakes one checkpoint; all that is compared at the last epoch is right."""

    def checkpoint(self, epoch: int) -> str:
        """As inherited, but for one epoch."""
        return super().checkpoint(epoch - 1 if epoch == WRONG else epoch)


if __name__ == "__main__":
    OneEpochBehind.run(load.main)
