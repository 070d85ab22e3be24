"""A model of torch's own modules, its optimizer, and the loop that trains it: no Keras."""

import time
import typing

from common import metrics
from common.digest import Tensors
from common.runtime import Runtime
from common.steps import batches
from meters import trace
from workload.workload import Workload

# Predictions on these first test images are compared before the save and after the load.
FIXED_BATCH = 16
_LEARNING_RATE = 1e-3


class Trained(typing.NamedTuple):
    """A `torch.nn.Module` and the `torch.optim.Optimizer` of its parameters."""

    module: typing.Any
    optimizer: typing.Any


class TorchWorkload(Workload):
    """A module and its optimizer, its images, and what the checks need; `model` is a `Trained`.

    A module takes float32 images and gives logits, [images, classes].

    epochs: of training, where a script asks for no other number.
    x_train, x_test: float32 images, numpy; y_train, y_test: int64 labels. Set by a subclass.
    """

    epochs = 1
    x_train: typing.Any
    y_train: typing.Any
    x_test: typing.Any
    y_test: typing.Any

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        self._steps_ms: typing.List[float] = []
        self._callbacks: typing.Sequence[typing.Any] = ()

    @property
    def device(self) -> str:
        """The accelerator, as torch writes it."""
        return "cuda" if self.phase.on_gpu else "cpu"

    def make(self) -> typing.Any:
        """The module as code makes it, with initial weights."""
        raise NotImplementedError

    def build(self, lms: typing.Any) -> Trained:
        """A fresh module on the accelerator, shown to the provider, and an Adam that it knows."""
        import torch

        module = self.make().to(self.device)
        lms.set_model(module)
        optimizer = lms.optimizer(torch.optim.Adam, module.parameters(), lr=_LEARNING_RATE)
        return Trained(module, optimizer)

    def save(self, model: Trained, path: str) -> None:
        """Writes the state dicts of both, as torch's own tutorial on checkpoints has it."""
        import torch

        held = {
            "model_state_dict": model.module.state_dict(),
            "optimizer_state_dict": model.optimizer.state_dict(),
        }
        torch.save(held, path)

    def load(self, model: Trained, path: str) -> None:
        """Loads the state dicts of both; in a reference, neither."""
        import torch
        from torch.utils._pytree import tree_map_only

        if self.phase.reference:
            return
        held = torch.load(path, map_location=self.device, weights_only=True)
        if not self.phase.on_gpu:
            # What a file is read into is no memory of torch's allocator, which stands for the GPU.
            held = tree_map_only(torch.Tensor, torch.clone, held)
        model.module.load_state_dict(held["model_state_dict"])
        model.optimizer.load_state_dict(held["optimizer_state_dict"])

    def train(
        self,
        model: Trained,
        callbacks: typing.Sequence[typing.Any],
        epochs: typing.Optional[int] = None,
        done: int = 0,
    ) -> None:
        """Trains, marks the metrics of each epoch, and measures the model on the test images.

        epochs: how many more there are to be. done: how many the model has been trained before.
        """
        self._callbacks = callbacks
        last = done + (epochs or self.epochs)
        for callback in callbacks:
            callback.set_model(model.module)
        for epoch in range(done, last):
            losses, hits = 0.0, 0
            for number in range(batches(len(self.x_train), self.batch_size)):
                started = time.perf_counter()
                loss, right = self._step(model, number)
                self._steps_ms.append((time.perf_counter() - started) * 1000.0)
                self.runtime.steps.ran("train")
                losses, hits = losses + loss, hits + right
            count = len(self.x_train)
            values = {"loss": losses / count, "accuracy": hits / count}
            metrics.mark(values, epoch=epoch + 1, split="train")
        for callback in callbacks:
            callback.on_train_end()
        hits_of_test = self._predicted(model, self.x_test).argmax(axis=1) == self.y_test
        self.runtime.steps.ran("predict")
        metrics.mark_accuracy(hits_of_test, epoch=last)

    def weights(self, model: Trained) -> Tensors:
        """As in `Workload`."""
        held = model.module.state_dict()
        return Tensors([_numpy(tensor) for tensor in held.values()], list(held))

    def optimizer_state(self, model: Trained) -> Tensors:
        """As in `Workload`: of each parameter, by name."""
        told = {
            f"{name}.{key}": _numpy(value)
            for name, parameter in model.module.named_parameters()
            for key, value in sorted(model.optimizer.state.get(parameter, {}).items())
        }
        return Tensors(list(told.values()), list(told))

    def predictions(self, model: Trained) -> typing.Any:
        """As in `Workload`."""
        return self._predicted(model, self.x_test[:FIXED_BATCH])

    def trace(self, model: Trained, role: str) -> None:
        """As in `Workload`: of a training, where the second of two steps is measured."""

        def two_steps(measuring: typing.ContextManager[typing.Any]) -> None:
            self._step(model, 0)
            with measuring:
                self._step(model, 0)

        step_ms = metrics.step_ms(self._steps_ms)
        trace.plain_torch(self.runtime, role, two_steps, 2, step_ms, self.batch_size)

    def _step(self, model: Trained, number: int) -> typing.Tuple[float, int]:
        """Trains on one batch; the sum of its losses, and how many images were right."""
        import torch

        start = number * self.batch_size
        x = self._tensor(self.x_train[start : start + self.batch_size])
        y = self._tensor(self.y_train[start : start + self.batch_size])
        for callback in self._callbacks:
            callback.on_train_batch_begin(number)
        model.module.train()
        model.optimizer.zero_grad(set_to_none=True)
        logits = model.module(x)
        loss = torch.nn.functional.cross_entropy(logits, y)
        loss.backward()
        right = int((logits.detach().argmax(dim=1) == y).sum())
        model.optimizer.step()
        for callback in self._callbacks:
            callback.on_train_batch_end(number)
        return float(loss.detach()) * len(x), right

    def _predicted(self, model: Trained, images: typing.Any) -> typing.Any:
        """Probabilities, numpy [images, classes]."""
        import torch

        model.module.eval()
        with torch.no_grad():
            return _numpy(torch.softmax(model.module(self._tensor(images)), dim=1))

    def _tensor(self, array: typing.Any) -> typing.Any:
        """A copy of an array on the accelerator."""
        import torch

        return torch.tensor(array, device=self.device)


def _numpy(value: typing.Any) -> typing.Any:
    """A copy of a tensor, or of a number: memory that torch and numpy share is nobody's alone."""
    import numpy as np

    if hasattr(value, "detach"):
        return value.detach().clone().cpu().numpy()
    return np.asarray(value)
