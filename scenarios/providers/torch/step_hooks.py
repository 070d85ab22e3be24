"""A provider that enters a context of somebody else's library around each training step."""

import typing

from common.runtime import Runtime
from providers.announcement import Swaps
from providers.interface import Provider


class StepHooks(Provider):
    """Enters `_context` for each step, and announces after the first what its hooks have moved."""

    def __init__(self, runtime: Runtime, batch_size: typing.Optional[int] = None) -> None:
        super().__init__(runtime, batch_size)
        self._count = self._bytes = 0
        self._entered: typing.Any = None
        self._announced = False

    def on_train_batch_begin(self, batch: int, logs: typing.Any = None) -> None:
        """Enters the context."""
        self._leave()  # a step that raised did not reach its end
        self._count = self._bytes = 0
        context = self._context()
        context.__enter__()
        self._entered = context

    def on_train_batch_end(self, batch: int, logs: typing.Any = None) -> None:
        """Leaves the context; after the first step, says what was moved."""
        self._leave()
        if not self._announced:
            self._announced = True
            self.announce(Swaps(self._count, self._count, self._bytes, self._bytes))

    def on_train_end(self, logs: typing.Any = None) -> None:
        """Leaves the context."""
        self._leave()

    def _context(self) -> typing.Any:
        """The context of one step; its hooks count in `_count` and `_bytes`."""
        raise NotImplementedError

    def _told(self, hook: typing.Callable[..., typing.Any]) -> typing.Callable[..., typing.Any]:
        """A hook of the library, with page-locked memory where there is no GPU to lock it for."""
        if self._runtime.phase.on_gpu:
            return hook
        from providers.torch.page_locked import numpy_memory

        def told(value: typing.Any) -> typing.Any:
            with numpy_memory():
                return hook(value)

        return told

    def _leave(self) -> None:
        entered, self._entered = self._entered, None
        if entered is not None:
            entered.__exit__(None, None, None)
