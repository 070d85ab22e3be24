"""A graph of TensorFlow's own operations, without Keras, in sessions that a script opens."""

import time
import typing

from common import metrics, steps
from common.digest import Tensors
from common.runtime import Runtime
from frameworks import session
from meters import trace
from workload.workload import Workload

# What `Session.run` takes.
Fetches = typing.Any
Feed = typing.Dict[typing.Any, typing.Any]


class GraphWorkload(Workload):
    """A graph and its sessions, and what the checks need; `model` is the session.

    A subclass gives `predictions` and `step`.
    """

    def __init__(self, started: Runtime) -> None:
        super().__init__(started)
        self._steps_ms: typing.List[float] = []

    def session(self, graph: typing.Any) -> typing.Any:
        """A session of a graph, to be used in a `with`; Keras' session knows nothing of it."""
        config = session.config(self.tf, self.phase.resources)
        return self.tf.Session(graph=graph, config=config)

    def timed_run(self, running: typing.Any, fetches: Fetches, feed: Feed) -> typing.Any:
        """Runs a training step in a session, and keeps how long it took."""
        started = time.perf_counter()
        values = running.run(fetches, feed)
        self._steps_ms.append((time.perf_counter() - started) * 1000.0)
        self.runtime.steps.ran("train")
        return values

    def weights(self, model: typing.Any) -> Tensors:
        """As in `Workload`: the graph's trainable variables."""
        weights, _ = self._variables(model.graph)
        return self._told(model, weights)

    def optimizer_state(self, model: typing.Any) -> Tensors:
        """As in `Workload`: all other variables."""
        _, others = self._variables(model.graph)
        return self._told(model, others)

    def step(self, role: str) -> typing.Tuple[Fetches, Feed]:
        """What one step of a role fetches and what it is fed with."""
        raise NotImplementedError

    def trace(self, model: typing.Any, role: str) -> None:
        """As in `Workload`."""
        fetches, feed = self.step(role)
        step_ms = metrics.step_ms(self._steps_ms)
        if role == "predict":
            run = self.runtime.steps.counted(role, lambda: model.run(fetches, feed))
            run()  # the first run of these fetches optimises the graph
            step_ms = steps.timed(run)
        trace.session(
            self.runtime,
            role,
            lambda **options: model.run(fetches, feed, **options),
            step_ms,
            batch=max(len(value) for value in feed.values() if hasattr(value, "__len__")),
        )

    def restore(self, session: typing.Any, saver: typing.Any, path: str) -> None:
        """Gives the graph's variables the values of a checkpoint; in a reference, initial ones.

        saver: a `tf.train.Saver` of the graph.
        """
        if self.phase.reference:
            self.initialise(session)
        else:
            saver.restore(session, path)

    def initialise(self, session: typing.Any) -> None:
        """Gives the graph's variables their initial values."""
        session.run(self.tf.variables_initializer(self.tf.global_variables()))

    def _variables(
        self, graph: typing.Any
    ) -> typing.Tuple[typing.List[typing.Any], typing.List[typing.Any]]:
        """The trainable variables of a graph, and all others, in the order of their creation."""
        keys = self.tf.GraphKeys
        weights = graph.get_collection(keys.TRAINABLE_VARIABLES)
        names = {variable.name for variable in weights}
        every = graph.get_collection(keys.GLOBAL_VARIABLES)
        return weights, [variable for variable in every if variable.name not in names]

    @staticmethod
    def _told(running: typing.Any, tensors: typing.Sequence[typing.Any]) -> Tensors:
        """What tensors, or variables, of a graph hold."""
        return Tensors(running.run(list(tensors)), [tensor.name for tensor in tensors])


def read_graph(tf: typing.Any, path: str) -> typing.Any:
    """The `GraphDef` in a file. tf: `tensorflow.compat.v1`."""
    graph_def = tf.GraphDef()
    with open(path, "rb") as file:
        graph_def.ParseFromString(file.read())
    return graph_def
