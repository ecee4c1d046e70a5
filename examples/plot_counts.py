"""
Counts: single cells of different depth
=======================================

In a table of counts, such as molecules per gene in single cells or words in documents,
the total of a sample often only says how much was sampled. ``loss="multinomial"``
models the fractions of that total. This example simulates cells that develop along two
branches, counts their molecules at depths that differ a hundredfold, and compares two
components of PCA of logarithms, of NMF and of autoencoders.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import NMF, PCA
from sklearn.metrics import mean_poisson_deviance

from sklearn_ae import AutoencoderTransformer

# %%
# Cells on two branches
# ---------------------
# Each gene is switched on and off along the way, some genes only on one branch. The
# depth of a cell, its total, has nothing to do with its place.


def cells(n, random_state, n_genes=150):
    rng = np.random.default_rng(random_state)
    genes = np.random.default_rng(0)
    time, branch = rng.uniform(0, 1, n), rng.integers(0, 2, n)
    peak, width = genes.uniform(-0.2, 1.2, n_genes), genes.uniform(0.1, 0.3, n_genes)
    only = genes.integers(0, 3, n_genes)  # on branch 0 or 1 alone, or on both
    log_rates = 3 * np.exp(-0.5 * ((time[:, None] - peak) / width) ** 2)
    off = (only != 2) & (only != branch[:, None])
    log_rates *= np.where(
        off, 1 - np.clip(2 * time[:, None] - 0.4, 0, 1), 1
    )  # branches part at 0.2
    rates = np.exp(log_rates + genes.normal(size=n_genes))
    fractions = rates / rates.sum(axis=1, keepdims=True)
    depths = rng.lognormal(np.log(500), 0.8, n)
    return (
        rng.poisson(depths[:, None] * fractions).astype(float),
        fractions,
        time,
        branch,
    )


train, _, _, _ = cells(1500, random_state=1)
test, true_fractions, time, branch = cells(600, random_state=2)
totals = test.sum(axis=1, keepdims=True)
zeros = (test == 0).mean()
print(f"totals from {totals.min():.0f} to {totals.max():.0f}, {zeros:.0%} zeros")

# %%
# Two components
# --------------
# As usual, PCA uses logarithms of counts that are scaled to the same depth. All
# reconstructions are scaled to the totals of the cells. Deviance and distance are of
# held-out cells; lower is better.


def log1p(X):
    return np.log1p(X / X.sum(axis=1, keepdims=True) * train.sum(axis=1).mean())


def fractions_of(X):
    return X.clip(1e-10) / X.clip(1e-10).sum(axis=1, keepdims=True)


pca = PCA(2).fit(log1p(train))
nmf = NMF(
    2, beta_loss="kullback-leibler", solver="mu", max_iter=1000, random_state=0
).fit(train)
poisson = AutoencoderTransformer(2, loss="poisson", random_state=0).fit(train)
multinomial = AutoencoderTransformer(2, loss="multinomial", random_state=0).fit(train)
codes = {
    "PCA of log1p": pca.transform(log1p(test)),
    "NMF, Kullback-Leibler": nmf.transform(test),
    'autoencoder, "poisson"': poisson.transform(test),
    'autoencoder, "multinomial"': multinomial.transform(test),
}
fractions = {
    "PCA of log1p": fractions_of(
        np.expm1(pca.inverse_transform(codes["PCA of log1p"]))
    ),
    "NMF, Kullback-Leibler": fractions_of(
        nmf.inverse_transform(codes["NMF, Kullback-Leibler"])
    ),
    'autoencoder, "poisson"': fractions_of(
        poisson.inverse_transform(codes['autoencoder, "poisson"'])
    ),
    'autoencoder, "multinomial"': fractions_of(
        multinomial.inverse_transform(codes['autoencoder, "multinomial"'])
    ),
}
for name, found in fractions.items():
    deviance = mean_poisson_deviance(test.ravel(), (totals * found).ravel())
    error = np.abs(found - true_fractions).sum() / 2 / len(test)
    print(
        f"{name}: deviance {deviance:.3f}, distance from the true fractions {error:.3f}"
    )

# %%
# The codes
# ---------
# Colours are the time, and markers are the two branches. With the multinomial loss the
# cells lie on one curve that splits in two, in the order of time. In PCA's plane the
# branches overlap, and with the Poisson loss and NMF, whose components grow with the
# depth, cells of the same time are far apart.

figure, axes = plt.subplots(2, 2, figsize=(9, 7.5), layout="constrained")
for ax, (name, code) in zip(axes.flat, codes.items(), strict=True):
    for which, marker in ((0, "o"), (1, "^")):
        chosen = branch == which
        points = ax.scatter(
            *code[chosen].T, c=time[chosen], s=9, marker=marker, vmin=0, vmax=1
        )
    ax.set(title=name, xlabel="component 0", ylabel="component 1", xticks=[], yticks=[])
figure.colorbar(points, ax=axes, label="time")

# %%
# Reconstructed counts
# --------------------
# ``inverse_transform`` only has the code, so it returns counts at the mean total of the
# training data. Scores use the total of each sample. For other totals multiply.

rates = multinomial.inverse_transform(multinomial.transform(test))
print(f"{rates.sum(axis=1).mean():.1f} = {train.sum(axis=1).mean():.1f}")
at_own_depth = rates * (totals / rates.sum(axis=1, keepdims=True))
errors = np.square(test - at_own_depth).sum(axis=1)
assert np.allclose(multinomial.reconstruction_error(test), errors, rtol=1e-4)
