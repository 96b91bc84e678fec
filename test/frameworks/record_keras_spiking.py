# SPDX-License-Identifier: Apache-2.0
"""Energies of a small network by KerasSpiking's ``ModelEnergy``, as JSON.

    pip install "tensorflow-cpu==2.8.4" "numpy<1.24" "protobuf<3.20" && pip install --no-deps keras-spiking==0.3.0
    python test/frameworks/record_keras_spiking.py test/data/keras_spiking.json

Python 3.10. 20 inputs, of which 3 spike in each of 4 steps of 1 ms, densely joined to 10 spiking neurons; and how many
connections a convolution with padding has.
"""

from __future__ import annotations

import json
import sys

import keras_spiking
import numpy as np
import tensorflow as tf

N_STEPS, DT, ACTIVE = 4, 1e-3, (2, 5, 11)
DEVICES = ("loihi", "spinnaker", "spinnaker2", "cpu", "gpu", "arm")


def record() -> dict:
    """Energies of synapses and neurons of an inference by device [J], and the convolution's connections."""
    layers = tf.keras.layers
    given = tf.keras.Input((N_STEPS, 20))
    summed = layers.TimeDistributed(layers.Dense(10, use_bias=False))(given)
    model = tf.keras.Model(given, keras_spiking.SpikingActivation("relu", dt=DT)(summed))
    rates = np.zeros((1, N_STEPS, 20), np.float32)
    rates[..., ACTIVE] = 1 / DT
    energy = keras_spiking.ModelEnergy(model, rates)
    devices = {}
    for device in DEVICES:
        parts = [energy.layer_energy(layer, device, N_STEPS, DT) for layer in model.layers]
        devices[device] = [float(sum(part)) for part in zip(*parts, strict=True)]
    image = tf.keras.Input((5, 4, 2))
    padded = tf.keras.Model(image, layers.Conv2D(3, 3, padding="same")(image))
    connections = int(keras_spiking.ModelEnergy.compute_layer_stats(padded.layers[-1])["connections"])
    return {"keras_spiking": keras_spiking.__version__, "devices": devices, "padded_convolution": connections}


if __name__ == "__main__":
    with open(sys.argv[1], "w") as file:
        json.dump(record(), file, indent=1)
        file.write("\n")
