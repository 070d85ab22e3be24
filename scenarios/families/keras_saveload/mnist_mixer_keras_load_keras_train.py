"""Load the whole `mnist_mixer` from Keras' own format, LMS first, and go on training."""

from families.keras_saveload.mnist_cnn_keras_load_keras_train import main
from families.keras_saveload.mnist_mixer import MnistMixer

if __name__ == "__main__":
    MnistMixer.run(main)
