"""Moves a graph that has run to a fresh session, so that it can be edited.

A session takes over the operations of its graph whenever it runs, and ignores later changes of
those: TensorFlow prints a warning and goes on. keras-team Keras 2.3.1 runs the session to
initialise variables while it builds the train function, before any callback can act.
"""

import gc
import typing
import weakref

_Values = typing.List[typing.Tuple[typing.Any, typing.Any]]


class Carried:
    """Values of variables between two sessions."""

    def __init__(self, session: typing.Any, values: _Values) -> None:
        self._session = session
        self._values = values

    def restore(self) -> None:
        """Writes the values into the fresh session.

        This runs the graph: the edit has to be done.
        """
        if not self._values:
            return
        self._session.run(
            [variable.initializer for variable, _ in self._values],
            # The second input of an assignment is the value. Feeding it adds no operation.
            {variable.initializer.inputs[1]: value for variable, value in self._values},
        )


def has_run(graph: typing.Any) -> bool:
    """Whether Keras has run a session on the graph: it then marked the variables it found."""
    return any(getattr(variable, "_keras_initialized", False) for variable in _variables(graph))


def renew(keras: typing.Any, graph: typing.Any, model: typing.Any = None) -> Carried:
    """Replaces Keras' session by one that has run nothing, if it has run the graph.

    graph: the graph that is to be edited next. model: its cached functions let go of the old
        session. Returns a `Carried`, to be restored after the edit.

    Only variables are carried over. Keras' own marks of initialised variables stay right: what
    is marked has its value again.
    """
    import tensorflow.compat.v1 as tf

    if not has_run(graph):
        return Carried(None, [])
    backend = keras.backend
    old = backend.get_session()
    values = _values(tf, graph, old)
    fresh = tf.Session(graph=graph, config=old._config)
    backend.set_session(fresh)
    _forget(model)
    old.close()
    # TensorFlow notes edits for a session until the object is gone, closed or not.
    alive = weakref.ref(old)
    del old
    if alive() is not None:
        gc.collect()
    return Carried(fresh, values)


def _variables(graph: typing.Any) -> typing.List[typing.Any]:
    from tensorflow.compat.v1 import GraphKeys

    return list(graph.get_collection(GraphKeys.GLOBAL_VARIABLES))


def _values(tf: typing.Any, graph: typing.Any, session: typing.Any) -> _Values:
    """`(variable, numpy value)` of the variables that are initialised in the session."""
    variables = _variables(graph)
    unsure = [v for v in variables if not getattr(v, "_keras_initialized", False)]
    with graph.as_default():
        is_set = session.run([tf.is_variable_initialized(v) for v in unsure]) if unsure else []
    unset = {id(v) for v, flag in zip(unsure, is_set) if not flag}
    known = [v for v in variables if id(v) not in unset]
    return list(zip(known, session.run(known)))


def _forget(model: typing.Any) -> None:
    """Drops the callables, of the old session, that Keras' functions keep."""
    for name in ("train_function", "test_function", "predict_function"):
        function: typing.Any = getattr(model, name, None)
        if hasattr(function, "_callable_fn"):
            function._callable_fn = None
            function._session = None
