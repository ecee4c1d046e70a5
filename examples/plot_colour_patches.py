"""
Colour image patches: choose a sparse code
==========================================

A colour image is a vector too: red, green and blue of each pixel in turn. With
``image_shape=(height, width, 3)`` the displays draw such vectors in colour. In a
component grey is zero: a channel is lighter where its weight is positive and darker
where it is negative, so the negative of a component has the complementary colours.

The data are patches of 8 x 8 pixels of two photographs, the left sides to fit and the
right sides to test. Each model prints the R² of the test patches and the redundancy of
its components: how similar each is to the one most like it, from 0 to 1.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import TopK
from sklearn_ae.model_selection import component_quality, reconstruction_score
from sklearn_ae.penalties import L1
from sklearn_ae.plotting import ComponentsDisplay, ReconstructionDisplay

SHAPE = (8, 8, 3)
photographs = [load_sample_image(name) / 255 for name in ("china.jpg", "flower.jpg")]


def patches(side, n):
    """Return n patches of a side of each photograph, one per sample."""
    found = [
        extract_patches_2d(image[:, side], SHAPE[:2], max_patches=n, random_state=0)
        for image in photographs
    ]
    return np.concatenate(found).reshape(2 * n, -1)


X_train, X_test = patches(slice(None, 400), 2000), patches(slice(400, None), 500)


def compare(decompositions):
    """Fit, score and draw decompositions side by side."""
    _, axes = plt.subplots(1, 2, figsize=(11, 5.5), layout="compressed")
    for ax, (name, decomposition) in zip(axes, decompositions.items(), strict=True):
        decomposition.fit(X_train)
        redundancy = component_quality(decomposition).redundancy
        r2 = reconstruction_score(decomposition, X_test)
        print(f"{name:<12} R² {r2:.3f}, redundancy {redundancy:.2f}")
        ComponentsDisplay.from_estimator(
            decomposition, image_shape=SHAPE, name=name, ax=ax
        )


def one_layer(**parameters):
    """Return an autoencoder whose only hidden layer is the code."""
    return AutoencoderTransformer(
        n_components=64,
        hidden_layer_sizes=(),
        output_activation="identity",
        random_state=0,
        **parameters,
    )


# %%
# PCA, and dropout on the code
# ----------------------------
# PCA's first components are brightness, one colour against its complement, and
# gradients; the others are ever finer waves, in black and white before those in colour.
# Dropout of half of the code, which gives strokes on handwritten digits, does not suit
# colour patches: a patch is mostly of one colour, and many near copies of a few colours
# transmit it, whichever of them are dropped.

dropout = one_layer(code="relu", code_dropout=0.5)
compare({"PCA": PCA(n_components=64), "dropout": dropout})

# %%
# Sparse codes
# ------------
# Keeping the eight largest of 64 components for each patch (``TopK``), or an L1 penalty
# on the code, gives bars, edges and spots in black and white, and others in single
# colours, which are less alike. The penalty needs several components for nearly the
# same colour.

top_k = one_layer(code=TopK(8))
compare({"TopK": top_k, "L1": one_layer(code="relu", penalty=L1(1))})

# %%
# Reconstructions
# ---------------
# Originals are between 0 and 1 and drawn in their own colours; values of a
# reconstruction outside this range are clipped. These are the ten test patches with the
# most contrast: ``TopK`` keeps their edges, dropout keeps little more than their mean
# colour.

by_contrast = np.argsort(-X_test.std(axis=1))
ReconstructionDisplay.from_estimators(
    {"TopK": top_k, "dropout": dropout}, X_test[by_contrast], image_shape=SHAPE
)
# sphinx_gallery_thumbnail_number = 2
