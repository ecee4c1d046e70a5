"""
Counts of cells: what is left when depth is known?
==================================================

In a table of counts, such as molecules per gene in single cells or words in documents, the total of a sample often only
says how much was sampled. ``loss="multinomial"`` models the shares of that total. This example draws cells that develop
along two branches, counts their molecules at depths that differ a hundredfold, and compares two components of PCA of
logarithms, of NMF and of autoencoders.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import NMF, PCA
from sklearn.metrics import mean_poisson_deviance

from sklearn_ae import AutoencoderTransformer

# %%
# Cells on two branches
# ---------------------
# Each gene is switched on and off along the way, and some only on one branch. The depth of a cell, its total, has
# nothing to do with its place.


def cells(n, random_state, n_genes=150):
    rng = np.random.default_rng(random_state)
    genes = np.random.default_rng(0)
    time, branch = rng.uniform(0, 1, n), rng.integers(0, 2, n)
    peak, width = genes.uniform(-0.2, 1.2, n_genes), genes.uniform(0.1, 0.3, n_genes)
    only = genes.integers(0, 3, n_genes)  # on branch 0 or 1 alone, or on both
    log_rates = 3 * np.exp(-0.5 * ((time[:, None] - peak) / width) ** 2)
    off = (only != 2) & (only != branch[:, None])
    log_rates *= np.where(off, 1 - np.clip(2 * time[:, None] - 0.4, 0, 1), 1)  # branches part at 0.2
    rates = np.exp(log_rates + genes.normal(size=n_genes))
    shares = rates / rates.sum(axis=1, keepdims=True)
    depths = rng.lognormal(np.log(500), 0.8, n)
    return rng.poisson(depths[:, None] * shares).astype(float), shares, time, branch


train, _, _, _ = cells(1500, random_state=1)
test, true_shares, time, branch = cells(600, random_state=2)
totals = test.sum(axis=1, keepdims=True)
print(f"totals from {totals.min():.0f} to {totals.max():.0f}, {(test == 0).mean():.0%} zeros")

# %%
# Two components
# --------------
# PCA sees logarithms of cells at the same depth, as is usual. All reconstructions are brought to the cells' totals.


def log1p(X):
    return np.log1p(X / X.sum(axis=1, keepdims=True) * train.sum(axis=1).mean())


def shares_of(X):
    return X.clip(1e-10) / X.clip(1e-10).sum(axis=1, keepdims=True)


pca = PCA(2).fit(log1p(train))
nmf = NMF(2, beta_loss="kullback-leibler", solver="mu", max_iter=1000, random_state=0).fit(train)
poisson = AutoencoderTransformer(2, loss="poisson", random_state=0).fit(train)
multinomial = AutoencoderTransformer(2, loss="multinomial", random_state=0).fit(train)
codes = {
    "PCA of log1p": pca.transform(log1p(test)),
    "NMF, Kullback-Leibler": nmf.transform(test),
    'autoencoder, "poisson"': poisson.transform(test),
    'autoencoder, "multinomial"': multinomial.transform(test),
}
shares = {
    "PCA of log1p": shares_of(np.expm1(pca.inverse_transform(codes["PCA of log1p"]))),
    "NMF, Kullback-Leibler": shares_of(nmf.inverse_transform(codes["NMF, Kullback-Leibler"])),
    'autoencoder, "poisson"': shares_of(poisson.inverse_transform(codes['autoencoder, "poisson"'])),
    'autoencoder, "multinomial"': shares_of(multinomial.inverse_transform(codes['autoencoder, "multinomial"'])),
}
for name, found in shares.items():
    deviance = mean_poisson_deviance(test.ravel(), (totals * found).ravel())
    error = np.abs(found - true_shares).sum() / 2 / len(test)
    print(f"{name}: deviance {deviance:.3f}, distance from the true shares {error:.3f}")

# %%
# The codes
# ---------
# Colours are the time, and the two branches have different markers. NMF's components grow with the depth.

figure, axes = plt.subplots(1, 4, figsize=(14, 3.8), layout="constrained")
for ax, (name, code) in zip(axes, codes.items(), strict=True):
    for which, marker in ((0, "o"), (1, "^")):
        chosen = branch == which
        points = ax.scatter(*code[chosen].T, c=time[chosen], s=9, marker=marker, vmin=0, vmax=1)
    ax.set(title=name, xlabel="component 1", xticks=[], yticks=[])
axes[0].set_ylabel("component 2")
figure.colorbar(points, ax=axes, label="time")
plt.show()

# %%
# In counts
# ---------
# ``inverse_transform`` only has the code and returns counts at the mean total of the training data. Scores know each
# sample's own total. For other totals multiply.

rates = multinomial.inverse_transform(multinomial.transform(test))
print(f"{rates.sum(axis=1).mean():.1f} = {train.sum(axis=1).mean():.1f}")
at_own_depth = rates * (totals / rates.sum(axis=1, keepdims=True))
errors = np.square(test - at_own_depth).sum(axis=1)
assert np.allclose(multinomial.reconstruction_error(test), errors, rtol=1e-4)
