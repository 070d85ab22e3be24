"""Run the pretrained SavedModel as it is, without LMS, and with `saved_model_cli`; hand it on."""

import os
import shutil

from common import claim
from common.runtime import session_config
from families.tf_serialization import cli, pretrained, savedmodel, serialization


def main(work):
    import numpy as np

    tf, phase = work.tf, work.runtime.phase
    directory = work.output(pretrained.DIRECTORY)
    source = pretrained.source(phase)
    own = source == phase.input(savedmodel.DIRECTORY)
    serialization.note("the model is {}".format("the family's own" if own else "from DATA_DIR"))
    shutil.copytree(source, directory)
    signature = savedmodel.Loader(directory).signature
    with tf.Session(graph=work.graph, config=session_config(tf, phase)) as session:
        tf.saved_model.loader.load(session, [savedmodel.TAG], directory)
        model = pretrained.Model(tf, work.graph, signature)
        expected = model.digest(session, "saved")

    inputs = []
    for key, array in pretrained.batch(tf, signature).items():
        np.save("{}.npy".format(key), array)
        inputs.append("{0}={0}.npy".format(key))
    show, run = cli.run_all(
        ["show", "--dir", directory, "--all"],
        ["run", "--dir", directory, "--tag_set", savedmodel.TAG, "--outdir", "run"]
        + ["--signature_def", savedmodel.SIGNATURE, "--inputs", ";".join(inputs)],
    )
    print(show)
    print(run)
    name = cli.signature(show).get(("outputs", model.key, "name"))
    claim.state("saved_model_cli show names the output that was run", model.output.name, name)
    found = np.load(os.path.join("run", "{}.npy".format(model.key)))
    same = found.shape == expected.shape and np.allclose(found, expected, rtol=1e-4, atol=1e-5)
    claim.state("saved_model_cli run gives what the session gives", True, bool(same))


if __name__ == "__main__":
    serialization.run(main)
