"""Do inference with the exported ONNX file, by the reference implementation of ONNX.

Neither Keras nor its backend takes part, so there is nothing that LMS could swap.
"""

from common import data, digest, marker
from common.phase import Phase
from families.keras3_export import onnx_file
from workload.keras_model import FIXED_BATCH


def main(phase: Phase) -> None:
    digits = data.load(phase.data_directory)
    onnx_file.report(digits.name)
    exported = onnx_file.OnnxFile(phase.input("exported.onnx"))
    digest.arrays("weights", "restored", exported.weights())
    images = data.scaled(digits.x_test[:FIXED_BATCH])
    digest.predictions(exported.predict(images), "restored")
    marker.emit("done")


if __name__ == "__main__":
    main(Phase.from_environment())
