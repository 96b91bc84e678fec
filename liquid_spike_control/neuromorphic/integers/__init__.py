# SPDX-License-Identifier: Apache-2.0
"""Integer spiking networks in Loihi's terms: populations, synapses, and random ones for comparisons."""
