"""
Interpret components: traverse the code
=======================================

A row of ``components_`` is the pattern that a component adds to the mean. For PCA this
says everything about a component. With hidden layers, the pattern depends on the value
of the component and on the other components. A traversal shows it: change one component
from the 5 % to the 95 % quantile of its values, keep the others fixed, and decode.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import reconstruction_score
from sklearn_ae.plotting import TraversalDisplay


def fit(X, k):
    """Return an autoencoder and PCA of k components."""
    decompositions = {
        "autoencoder": AutoencoderTransformer(n_components=k, random_state=0).fit(X),
        "PCA": PCA(n_components=k).fit(X),
    }
    for name, decomposition in decompositions.items():
        print(f"{name:<12} R² {reconstruction_score(decomposition, X):.3f}")
    return decompositions


def draw(decompositions, X, figsize, **parameters):
    _, axes = plt.subplots(
        1, len(decompositions), figsize=figsize, layout="constrained"
    )
    for ax, (name, decomposition) in zip(axes, decompositions.items(), strict=True):
        TraversalDisplay.from_estimator(
            decomposition, X, name=name, ax=ax, **parameters
        )


# %%
# Images: from the mean code
# --------------------------
# In the middle of each row the code is about the mean code. PCA decodes it to the mean
# image, and each of its components adds one pattern to it, times the value, so the two
# ends of a row are about opposite and everything is grey. The autoencoder's rows are
# sharper. Some of their images look like digits, others like none: a code with one
# component changed need not be the code of any image. The printed R² is that of the
# images that the models are fitted to.

X = load_digits().data
decompositions = fit(X, 4)
draw(decompositions, X, (12, 3.8), n_steps=9)

# %%
# Images: from one image
# ----------------------
# Now the other components are fixed at the code of the first image, a 0, and each row
# passes near that image. PCA's components add the same patterns as before, to another
# image. The autoencoder's do not: compare a row with the same row above. The meaning of
# a component depends on the others, so look at several samples before you name it.

draw(decompositions, X, (12, 3.8), n_steps=9, row=0)

# %%
# Tables: features with names
# ---------------------------
# For features that are not pixels the display shows how much each of them changes from
# the first step to the last, here in standard deviations, because the columns are
# standardised. On wine, with 178 samples, the two models mostly agree: component 0
# contrasts phenols, flavanoids and proanthocyanins with nonflavanoid phenols, component
# 1 is about alcohol and the intensity of the colour, and component 2 about ash and its
# alcalinity. Each component of the autoencoder has the sign of the principal component
# that its code correlates with most.

wine = load_wine(as_frame=True).data
scaled = StandardScaler().set_output(transform="pandas").fit_transform(wine)
draw(fit(scaled, 3), scaled, (12, 3.4))
