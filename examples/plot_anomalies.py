"""
Find anomalies in a series, and the features behind them
========================================================

``plot_outliers.py`` asks which samples are unusual. This example asks where and why: an
autoencoder of windows of an ordinary series reconstructs ordinary windows, and the
error at each point says where a later series is unusual. The errors of the features of
a table say in what a sample is unusual.

The heartbeats are simulated: their lengths and heights vary, so the same beat comes
earlier in one window than in the next. For PCA each shift is another direction, for an
autoencoder another place on a curve.
"""

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import reconstruction_error
from sklearn_ae.outliers import ReconstructionDetector

#: Place, height and width of the waves of a beat, of length 1.
WAVES = [
    (0.2, 0.15, 0.03),
    (0.35, -0.15, 0.012),
    (0.38, 1.0, 0.014),
    (0.41, -0.25, 0.012),
    (0.65, 0.3, 0.05),
]
LENGTH = 48


def beat(kind, n, height):
    """Return n points of a beat."""
    place = np.linspace(0, 1, n, endpoint=False)
    if kind == "missing":
        return np.zeros(n)
    waves = WAVES[:-1] if kind == "no last wave" else WAVES
    spread = 2.5 if kind == "wide" else 1
    return height * sum(
        h * np.exp(-0.5 * ((place - at) / (width * spread)) ** 2)
        for at, h, width in waves
    )


def record(n_beats, seed, unusual=None):
    """Return a series, and which of its points belong to unusual beats."""
    rng, n, parts, labels = np.random.default_rng(seed), 50.0, [], []
    for i in range(n_beats):
        kind = (unusual or {}).get(i, "ordinary")
        n += 0.3 * (50 - n) + rng.normal(scale=2.5)
        parts.append(
            beat(
                kind, round(0.6 * n if kind == "short" else n), 1 + 0.15 * np.sin(i / 3)
            )
        )
        labels += [kind != "ordinary"] * len(parts[-1])
    series = np.concatenate(parts)
    return series + rng.normal(scale=0.03, size=len(series)), np.array(labels)


train, _ = record(60, seed=0)
later, _ = record(20, seed=1)
test, is_unusual = record(
    40, seed=2, unusual={6: "wide", 15: "missing", 24: "no last wave", 33: "short"}
)

# %%
# Errors of points
# ----------------
# Each sample is a window, and each point lies in many windows: its score is the mean of
# its errors in them. A later record is the validation set, because windows of one
# record overlap, and provides the threshold: one in a hundred of its points is above.


def windows(series):
    return sliding_window_view(series, LENGTH)


def point_errors(model, series):
    """Return the mean squared error of each point over the windows that hold it."""
    errors = reconstruction_error(model, windows(series), per_feature=True)
    point = np.add.outer(np.arange(len(errors)), np.arange(LENGTH)).ravel()
    return np.bincount(point, errors.ravel()) / np.bincount(point)


autoencoder = AutoencoderTransformer(4, random_state=0).fit(
    windows(train), X_val=windows(later)
)
models = {"autoencoder": autoencoder, "PCA": PCA(4).fit(windows(train))}
scores = {name: point_errors(model, test) for name, model in models.items()}
thresholds = {
    name: np.quantile(point_errors(model, later), 0.99)
    for name, model in models.items()
}
for name, score in scores.items():
    precision = average_precision_score(is_unusual, score)
    print(f"{name:<12} average precision {precision:.2f}")
print(f"chance       average precision {is_unusual.mean():.2f}")

# %%
# Unusual beats are shaded. PCA's error is large at the peak of every beat, and finds
# none of them. In the autoencoder's error all of them stand out, the missing beat
# least: a flat piece is a part of each ordinary beat.


def shade(ax):
    edges = np.flatnonzero(np.diff(is_unusual.astype(int), prepend=0, append=0))
    for start, end in edges.reshape(-1, 2):
        ax.axvspan(start, end, color="C3", alpha=0.2, linewidth=0)


_, axes = plt.subplots(3, figsize=(12, 6), sharex=True, layout="constrained")
axes[0].plot(test, color="0.5", linewidth=0.8)
axes[0].set_ylabel("series")
for ax, (name, score) in zip(axes[1:], scores.items(), strict=True):
    ax.plot(score, linewidth=0.8)
    ax.axhline(
        thresholds[name], color="C1", linestyle="--", linewidth=1, label="threshold"
    )
    ax.set(ylabel=f"error, {name}", yscale="log")
    ax.legend(loc="upper right")
for ax in axes:
    shade(ax)
axes[-1].set(xlabel="point", xlim=(0, len(test)))

# %%
# The four unusual beats and their reconstructions: the larger the gap between the two
# lines, the larger the error. It is smallest for the missing beat.

starts = np.flatnonzero(np.diff(is_unusual.astype(int)) == 1)
_, axes = plt.subplots(
    1, len(starts), figsize=(12, 2.6), sharey=True, layout="constrained"
)
chosen = windows(test)[starts]
restored = autoencoder.inverse_transform(autoencoder.transform(chosen))
for ax, window, reconstruction, title in zip(
    axes, chosen, restored, ("wide", "missing", "no last wave", "short"), strict=True
):
    ax.plot(window, color="0.5", linewidth=3, label="series")
    ax.plot(reconstruction, color="C1", label="reconstruction")
    ax.set_title(title)
axes[-1].legend()

# %%
# Errors of features
# ------------------
# ``ReconstructionDetector`` has the interface of ``IsolationForest``. It accepts a
# Pipeline, scores samples in standardised features, and reports the errors of each
# feature in its own unit. Here the wines of two growers are ordinary and those of the
# third unusual. The table is sorted by grower, so the folds for the threshold are
# shuffled.

data = load_wine(as_frame=True)
ordinary, unusual = data.data[data.target < 2], data.data[data.target == 2]
pipeline = make_pipeline(StandardScaler(), AutoencoderTransformer(4, random_state=0))
detector = ReconstructionDetector(
    pipeline, cv=KFold(5, shuffle=True, random_state=0)
).fit(ordinary[::2])
for name, samples in {"ordinary": ordinary[1::2], "unusual": unusual}.items():
    is_outlier = detector.predict(samples) == -1
    print(f"{name} wines that are outliers: {is_outlier.mean():.2f}")

# %%
# Root mean square errors by feature. The long orange bars at the top are the features
# in which the unusual wines differ most, first of all the intensity of the colour.

by_column = {
    name: np.sqrt(detector.reconstruction_error(samples, per_feature=True).mean(axis=0))
    / ordinary.std()
    for name, samples in {"ordinary": ordinary[1::2], "unusual": unusual}.items()
}
order = np.argsort(by_column["unusual"] / by_column["ordinary"])
_, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for offset, (name, errors) in zip((-0.2, 0.2), by_column.items(), strict=True):
    ax.barh(np.arange(len(order)) + offset, errors.iloc[order], height=0.4, label=name)
ax.set_yticks(np.arange(len(order)), ordinary.columns[order])
ax.set_xlabel("error, in standard deviations of ordinary wines")
ax.legend(loc="lower right")
