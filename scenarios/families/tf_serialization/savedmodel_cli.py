"""Inspect and run the SavedModel with `saved_model_cli`, and hand it on."""

import shutil

from common import marker
from common.phase import Phase
from families.tf_serialization import classifier, cli, savedmodel

# What the seed shows: `show --all` of the inputs and outputs, `run` of its first row.
SHOWN = (
    (("inputs", "inputs_1", "dtype"), "DT_FLOAT"),
    (("inputs", "inputs_1", "shape"), "(-1, 10)"),
    (("inputs", "inputs_1", "name"), classifier.INPUTS),
    (("outputs", "output1", "dtype"), "DT_BOOL"),
    (("outputs", "output1", "shape"), "(-1, 1)"),
    (("outputs", "output1", "name"), classifier.PREDICTIONS),
    ("method", "tensorflow/serving/predict"),
)
RESULT = "[[False]]"


def main(phase: Phase) -> None:
    directory = phase.output(savedmodel.DIRECTORY)
    shutil.copytree(phase.input(savedmodel.DIRECTORY), directory)
    row = list(classifier.ROWS[0])
    show, run = cli.run_all(
        ["show", "--dir", directory, "--all"],
        [
            "run",
            "--dir",
            directory,
            "--tag_set",
            savedmodel.TAG,
            "--signature_def",
            savedmodel.SIGNATURE,
            "--input_exprs",
            f"inputs_1=[{row}]",
        ],
    )
    print(show)
    print(run)
    shown = cli.signature(show)
    marker.claim("saved_model_cli shows this signature alone", 7, len(shown))
    for key, expected in SHOWN:
        words = key if isinstance(key, str) else " ".join(key)
        marker.claim(f"saved_model_cli show: {words}", expected, shown.get(key))
    found = cli.result(run, "output1")
    marker.claim("saved_model_cli run: output1 for 0 to 9", RESULT, found)
    marker.emit("done")


if __name__ == "__main__":
    main(Phase.from_environment())
