"""Run the pretrained SavedModel as it is, without LMS, and with `saved_model_cli`; hand it on."""

import os
import shutil

from common import marker
from families.tf_serialization import cli, pretrained, savedmodel
from families.tf_serialization.serialization import Serialization


def main(work: Serialization) -> None:
    import numpy as np

    tf, phase = work.tf, work.phase
    directory = work.output(pretrained.DIRECTORY)
    source = pretrained.source(phase)
    own = source == phase.input(savedmodel.DIRECTORY)
    origin = "the family's own" if own else "from DATA_DIR"
    marker.note(f"the model is {origin}")
    shutil.copytree(source, directory)
    signature = savedmodel.Loader(directory).signature
    with work.session(work.graph) as session:
        tf.saved_model.loader.load(session, [savedmodel.TAG], directory)
        model = pretrained.Model(tf, work.graph, signature)
        expected = model.digest(session, "saved")

    inputs = []
    for key, array in pretrained.batch(tf, signature).items():
        np.save(f"{key}.npy", array)
        inputs.append(f"{key}={key}.npy")
    show, run = cli.run_all(
        ["show", "--dir", directory, "--all"],
        [
            "run",
            "--dir",
            directory,
            "--tag_set",
            savedmodel.TAG,
            "--outdir",
            "run",
            "--signature_def",
            savedmodel.SIGNATURE,
            "--inputs",
            ";".join(inputs),
        ],
    )
    print(show)
    print(run)
    name = cli.signature(show).get(("outputs", model.key, "name"))
    marker.claim("saved_model_cli show names the output that was run", model.output.name, name)
    found = np.load(os.path.join("run", f"{model.key}.npy"))
    same = found.shape == expected.shape and np.allclose(found, expected, rtol=1e-4, atol=1e-5)
    marker.claim("saved_model_cli run gives what the session gives", True, bool(same))


if __name__ == "__main__":
    Serialization.run(main)
