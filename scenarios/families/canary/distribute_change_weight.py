"""Hand on the earlier phase's `.keras` file with one number of one weight changed."""

import io
import typing
import zipfile

from common import marker
from common.phase import Phase

FILE = "keras_save.keras"
WEIGHTS = "model.weights.h5"


def main(phase: Phase, file: str = FILE) -> None:
    with zipfile.ZipFile(phase.input(file)) as saved:
        members = {name: saved.read(name) for name in saved.namelist()}
    members[WEIGHTS] = changed(members[WEIGHTS])
    with zipfile.ZipFile(phase.output(file), "w") as handed_on:
        for name in sorted(members):
            handed_on.writestr(name, members[name])
    marker.emit("done")


def changed(content: bytes) -> bytes:
    """The bytes of an HDF5 file, one number of the bias of its last layer greater by 1.

    Whatever the image, that changes the prediction.
    """
    import h5py

    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as weights:
        names: typing.List[str] = []
        weights.visit(names.append)
        layers = [name for name in sorted(names) if not name.startswith("optimizer")]
        # Of a layer with a kernel and a bias the second: a dropout's count is one array as well.
        second = [name for name in layers if name.endswith("/vars/1")]
        biases = [name for name in second if len(getattr(weights[name], "shape", ())) == 1]
        weights[biases[-1]][0] += 1.0
    return buffer.getvalue()


if __name__ == "__main__":
    main(Phase.from_environment())
