"""
Spectra and signals: plot components as lines
=============================================

Displays draw spectra, signals and other features along an axis as lines if you pass the
axis, ``feature_axis=``, or if the names of the features are numbers in order. The name
of a pandas Series or Index labels the axis.

The infrared spectra of a mixture are simulated. Each has three bands of random heights.
The band at 1,100 per cm also moves with the temperature, as bands of hydrogen bonds do.
A band that moves is not a sum of a few fixed spectra, so PCA needs several components
for it and an autoencoder needs one.
"""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.plotting import (
    ComponentsDisplay,
    ReconstructionDisplay,
    TraversalDisplay,
)

rng = np.random.default_rng(0)
axis = pd.Index(np.linspace(1800, 600, 241), name="wavenumber (1/cm)")


def band(centre, width):
    """Return a band around a centre, or one for each of several centres."""
    return np.exp(-(((axis.to_numpy() - centre) / width) ** 2))


n_samples = 800
heights = rng.uniform(0.3, 1, size=(n_samples, 3, 1))
temperature = rng.uniform(-1, 1, size=(n_samples, 1))
spectra = heights[:, 0] * band(1650, 35) + heights[:, 1] * band(850, 50)
spectra += heights[:, 2] * band(1100 + 60 * temperature, 40)
spectra += 0.01 * rng.normal(size=spectra.shape)
X_train, X_test = train_test_split(pd.DataFrame(spectra, columns=axis), random_state=0)

# %%
# Reconstructions
# ---------------
# Four numbers made each spectrum, and each model has four components. The columns of
# the frame are wavenumbers, so they become the axis: one row per sample, with the
# reconstructions drawn over the original. PCA replaces the band that moves by broader
# ones with ripples next to them; the autoencoder's line lies on the original.

pca = PCA(n_components=4).fit(X_train)
autoencoder = AutoencoderTransformer(n_components=4, random_state=0).fit(X_train)
ReconstructionDisplay.from_estimators(
    {"PCA": pca, "autoencoder": autoencoder}, X_test, n_samples=4
)

# %%
# Components
# ----------
# Each row is a component around zero, the grey line, divided by its largest absolute
# weight. PCA's components 0 and 2 describe the band that moves: where they raise it at
# one place they lower it at another.

ComponentsDisplay.from_estimator(pca, feature_axis=axis)

# %%
# From low to high values
# -----------------------
# Here one component at a time varies from the 5 % to the 95 % quantile of its values,
# from dark to light, and the others keep their mean. The autoencoder's component 0
# moves the band near 1,100 per cm, which remains one band. The other components change
# the heights of the three bands.

TraversalDisplay.from_estimator(autoencoder, X_test, name="autoencoder")

# %%
# As a heat map
# -------------
# If there are too many lines for one picture, ``kind="heatmap"`` draws each sample as
# one row of colours, here 20 samples. Where the middle band of the originals moves to
# and fro, PCA's has dark gaps and a second band; the autoencoder's follows.

ReconstructionDisplay.from_estimators(
    {"PCA": pca, "autoencoder": autoencoder}, X_test, n_samples=20, kind="heatmap"
)
# sphinx_gallery_thumbnail_number = 3
