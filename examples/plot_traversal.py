"""
What does a component of the code mean?
=======================================

A row of ``components_`` is what a component adds to the mean, which is all there is to say about a component of PCA.
With hidden layers what it adds depends on its value and on the other components. A traversal shows it: change one
component from the 5 % to the 95 % quantile of its values, hold the others still, and decode.
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
    _, axes = plt.subplots(1, len(decompositions), figsize=figsize, layout="constrained")
    for ax, (name, decomposition) in zip(axes, decompositions.items(), strict=True):
        TraversalDisplay.from_estimator(decomposition, X, name=name, ax=ax, **parameters)


# %%
# Pictures: from the mean code
# ----------------------------
# Near the middle of each row the code is about the mean code. PCA decodes that to the mean image, and each of its
# components adds one pattern to it, times the value, so that the two ends are about opposite and all is grey. The
# autoencoder's components lead to sharper pictures. Some look like digits, others like none: a code with one component
# changed need not be that of any image. Printed is the R² of the images that are fitted to.

X = load_digits().data
decompositions = fit(X, 4)
draw(decompositions, X, (12, 3.8), n_steps=9)

# %%
# Pictures: from one image
# ------------------------
# Now the components held still are those of the first image, a 0, and each row passes near that image. PCA's components
# add the same patterns as before, to another image. The autoencoder's do not: compare a row with the same row above.
# What a component means depends on the others, so look from several samples before you give it a name.
draw(decompositions, X, (12, 3.8), n_steps=9, row=0)

# %%
# A table with names
# ------------------
# For features that are no pixels the display shows by how much each changes from the first step to the last, here in
# standard deviations, as the columns are standardised. On wine, with 178 samples, the two agree in the main: component
# 0 sets phenols, flavanoids and proanthocyanins against nonflavanoid phenols, component 1 is about alcohol and the
# intensity of the colour, and component 2 about ash and its alcalinity. A component of the autoencoder has the sign of
# the principal axis that its code correlates with most.

wine = load_wine(as_frame=True).data
scaled = StandardScaler().set_output(transform="pandas").fit_transform(wine)
draw(fit(scaled, 3), scaled, (12, 3.4))
