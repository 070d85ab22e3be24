"""Build `mnist_mixer` and its optimizer, LMS first, load .weights.h5, and go on training."""

from families.keras_saveload.mnist_cnn_keras_loadweights_v3_train_repaired import main
from families.keras_saveload.mnist_mixer import MnistMixer

if __name__ == "__main__":
    MnistMixer.run(main)
