"""Train `mnist_mixer` with LMS, save its weights in the one format of Keras 3."""

from families.keras_saveload.mnist_cnn_keras_trainsaveweights_v3 import main
from families.keras_saveload.mnist_mixer import MnistMixer

if __name__ == "__main__":
    MnistMixer.run(main)
