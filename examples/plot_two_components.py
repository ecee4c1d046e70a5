"""
Digits in two components: PCA and an autoencoder
================================================

PCA and an autoencoder reduce images of 8 x 8 pixels to two numbers and reconstruct the
images from these. Both are used with the same three calls: ``fit``, ``transform`` and
``inverse_transform``. Neither sees the labels, which only colour the points.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patheffects import withStroke
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import compare_decompositions

X, y = load_digits(return_X_y=True)

# %%
# How much do two numbers keep?
# -----------------------------
# R² is the fraction of the variance that is reconstructed: 1 is perfect, 0 is no better
# than the mean image. The accuracy is that of a 5-nearest-neighbours classifier on the
# two numbers. Both are held-out: means of five folds, with their standard errors.

models = {"PCA": PCA(), "autoencoder": AutoencoderTransformer(random_state=0)}
comparison = compare_decompositions(models, X, y, n_components=[2], random_state=0)
held_out = comparison.to_frame().set_index("estimator")
for name, scores in held_out.iterrows():
    r2 = f"{scores['r2']:.3f} ± {scores['r2_se']:.3f}"
    accuracy = f"{scores['neighbours']:.3f} ± {scores['neighbours_se']:.3f}"
    print(f"{name:<12} R² {r2}, accuracy {accuracy}")

# %%
# All digits in two components
# ----------------------------
# Each point is an image, its colour is the digit. In PCA's plane the digits overlap,
# except for 0, 4 and 6; the autoencoder separates most of them. Below are one image of
# each digit and its reconstruction from the two numbers: PCA's are blurred mixtures of
# several digits, most of the autoencoder's can be recognized. The models of this
# picture are fitted to all 1,797 images; the R² in the titles is the held-out one from
# above.

GREY = "#737f8a"  # for text that can be read on light and on dark pages
first = [np.flatnonzero(y == digit)[0] for digit in range(10)]

figure = plt.figure(figsize=(9, 5.4), layout="constrained")
for panel, (name, model) in zip(
    figure.subfigures(1, 2, wspace=0.04), models.items(), strict=True
):
    panel.set_facecolor("none")
    codes = model.set_params(n_components=2).fit_transform(X)
    reconstructions = model.inverse_transform(codes)
    grid = panel.add_gridspec(3, 10, height_ratios=[10, 1, 1])

    ax = panel.add_subplot(grid[0, :])
    ax.scatter(*codes.T, c=y, cmap="tab10", s=7, linewidth=0)
    for digit in range(10):
        place = np.median(codes[y == digit], axis=0)
        outline = withStroke(linewidth=3, foreground="white")
        ax.text(
            *place,
            digit,
            size=13,
            weight="bold",
            color="black",
            ha="center",
            va="center",
            path_effects=[outline],
        )
    ax.set_title(f"{name}, held-out R² {held_out['r2'][name]:.2f}", color=GREY)
    ax.set(xticks=[], yticks=[], facecolor="none")
    ax.spines[:].set_color(GREY)

    for row, (label, images) in enumerate(
        {"original": X, "decoded": reconstructions}.items(), 1
    ):
        for column, i in enumerate(first):
            ax = panel.add_subplot(grid[row, column])
            ax.imshow(images[i].reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_color(GREY)
            if column == 0:
                ax.set_ylabel(label, color=GREY, rotation=0, ha="right", va="center")

folder = Path("output")
folder.mkdir(exist_ok=True)
figure.savefig(folder / "two_components.png", dpi=130, transparent=True)
print(f"Drew {folder / 'two_components.png'}")
