"""For a canary on torch: LMS announces what it would swap, and everything stays where it is."""

from .offload_torch import SavedTensorSwapper


class Pretender(SavedTensorSwapper):
    """Has the hooks and the ledger of the provider, and a host memory that is no memory."""

    def __init__(self, runtime, parameters, batch_size=None):
        super(Pretender, self).__init__(runtime, parameters, batch_size)
        self._host = _Nowhere()


class _Nowhere(object):
    """Keeps what it is given where it is, and gives it back."""

    def store(self, flat):
        """Moves nothing."""
        return flat

    def load(self, kept, device):
        """Moves nothing."""
        return kept

    def finish(self):
        """The step is over."""
