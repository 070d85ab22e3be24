"""Train `mnist_mixer` with LMS, save the whole model in Keras' own format."""

from families.keras_saveload.mnist_cnn_keras_trainsave_keras import main
from families.keras_saveload.mnist_mixer import MnistMixer

if __name__ == "__main__":
    MnistMixer.run(main)
