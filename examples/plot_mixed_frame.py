"""
A table of numbers, binaries and categories: mixed losses
=========================================================

Tables of people or of machines have columns of several kinds. A squared error treats
them all as numbers: PCA may reconstruct a binary as -0.2 or 1.3. ``Mixed`` has a loss
for each kind, so binaries are reconstructed as probabilities, and the levels of a
category as probabilities that sum to 1. This example converts a data frame to codes and
back to the columns of the frame, and compares the reconstructions with PCA's and with
those of the same autoencoder with a squared error. ``FrameEncoder`` does the same with
less code; here you see the parts.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.losses import Mixed

# %%
# A table
# -------
# Households, simulated from three hidden quantities: distance to the city, stage of
# life, and wealth. All columns follow from these and chance, most of them not linearly.

NUMBERS = ["age", "rooms", "commute", "spending"]
BINARIES = ["car", "children", "owner", "garden"]
CATEGORIES = ["area", "heating", "work"]


def households(n, random_state):
    rng = np.random.default_rng(random_state)
    distance, stage, wealth = rng.uniform(-1, 1, (3, n))

    def noise(scale):
        return scale * rng.normal(size=n)

    def happens(odds):
        return (rng.logistic(size=n) < odds).astype(int)

    def most_likely(**scores):
        drawn = np.stack(
            [score + rng.gumbel(size=n) for score in scores.values()], axis=1
        )
        return np.array(list(scores))[drawn.argmax(axis=1)]

    return pd.DataFrame(
        {
            "age": 48 + 25 * stage + noise(3),
            "rooms": 4 + 1.5 * wealth + distance - 2 * stage**2 + noise(0.3),
            "commute": 25 + 20 * distance * (stage < 0.6) + noise(4),
            "spending": 2500 * np.exp(0.6 * wealth - 0.5 * stage**2) + noise(200),
            "car": happens(5 * distance + 4 * wealth),
            "children": happens(4 - 14 * np.abs(stage + 0.2)),
            "owner": happens(6 * wealth + 5 * stage),
            "garden": happens(8 * distance + 3 * wealth - 2),
            "area": most_likely(
                city=8 * (-distance - 0.3),
                suburb=3 - 10 * np.abs(distance),
                village=8 * (distance - 0.4),
            ),
            "heating": most_likely(
                gas=2 * stage,
                oil=5 * distance,
                heat_pump=6 * wealth - 1,
                district=-6 * distance,
            ),
            "work": most_likely(
                student=-10 * (stage + 0.6),
                employed=np.full(n, 1.0),
                retired=12 * (stage - 0.6),
            ),
        }
    )


train, test = train_test_split(
    households(3000, random_state=0), test_size=1000, random_state=0
)
print(train.head().round(1).to_string(index=False))

# %%
# Encode the columns
# ------------------
# A ``ColumnTransformer`` standardises the numbers, makes a column of each level of a
# category, and leaves the binaries alone. With ``set_output`` its columns have names,
# which ``Mixed`` uses.

columns = ColumnTransformer(
    [
        ("number", StandardScaler(), NUMBERS),
        ("binary", "passthrough", BINARIES),
        ("category", OneHotEncoder(sparse_output=False), CATEGORIES),
    ]
).set_output(transform="pandas")
encoded = columns.fit_transform(train)
print(", ".join(encoded.columns))

# %%
# Each category is one group of columns with a cross-entropy. The binaries have the log
# loss. Columns that are not named, here the numbers, have the squared error.


def levels(category):
    return [
        name for name in encoded.columns if name.startswith(f"category__{category}_")
    ]


binaries = [f"binary__{name}" for name in BINARIES]
loss = Mixed(
    [
        ("log_loss", binaries),
        *(("cross_entropy", levels(category)) for category in CATEGORIES),
    ]
)
models = {
    "PCA": PCA(3),
    "squared error": AutoencoderTransformer(3, random_state=0),
    "mixed": AutoencoderTransformer(3, loss=loss, random_state=0),
}

# %%
# Decode to the table
# -------------------
# ``set_output(inverse_transform="pandas")`` makes the autoencoders return frames with
# the columns they were fitted to. To invert the ``ColumnTransformer``, invert its
# parts: ``output_indices_`` says where the columns of each part are. ``OneHotEncoder``
# chooses the largest column of each group; a binary is one if it is above a half.


def to_households(decoded):
    """Return reconstructions in the columns of the table."""
    parts = {
        name: decoded.iloc[:, indices]
        for name, indices in columns.output_indices_.items()
    }
    inverse = {
        name: columns.named_transformers_[name].inverse_transform
        for name in ("number", "category")
    }
    restored = [
        pd.DataFrame(
            inverse["number"](parts["number"]), columns=NUMBERS, index=decoded.index
        ),
        (parts["binary"] > 0.5).astype(int).set_axis(BINARIES, axis=1),
        pd.DataFrame(
            inverse["category"](parts["category"]),
            columns=CATEGORIES,
            index=decoded.index,
        ),
    ]
    return pd.concat(restored, axis=1)[list(train.columns)]


decoded = {}
for name, model in models.items():
    model.fit(encoded).set_output(transform="pandas")
    codes = model.transform(columns.transform(test))
    if isinstance(model, AutoencoderTransformer):
        decoded[name] = model.set_output(inverse_transform="pandas").inverse_transform(
            codes
        )
    else:
        decoded[name] = pd.DataFrame(
            model.inverse_transform(codes), columns=encoded.columns, index=codes.index
        )
print(test.head(3).round(1).to_string())
print(to_households(decoded["mixed"]).head(3).round(1).to_string())

# %%
# Compare the reconstructions
# ---------------------------
# 1,000 held-out households: for numbers the R² of each column, otherwise the fraction
# of households whose value is reconstructed correctly. The last column is the accuracy
# of the commonest value. PCA's three components follow the numbers, which have most of
# the variance, at the expense of the rest. Both autoencoders reconstruct all columns
# from three components, with different weights: ``Mixed`` gets more of the binaries
# right, the squared error is ahead in the numbers and, by a little, in the categories.

scores = pd.DataFrame(index=train.columns, columns=list(models), dtype=float)
for name, frame in decoded.items():
    restored = to_households(frame)
    for column in train.columns:
        if column in NUMBERS:
            scores.loc[column, name] = r2_score(test[column], restored[column])
        else:
            scores.loc[column, name] = (test[column] == restored[column]).mean()
commonest = [
    0.0 if c in NUMBERS else (test[c] == train[c].mode()[0]).mean()
    for c in train.columns
]
print(scores.assign(commonest=commonest).round(3).to_string())
for kind, names in {
    "numbers": NUMBERS,
    "binaries": BINARIES,
    "categories": CATEGORIES,
}.items():
    print(
        f"{kind}: "
        + ", ".join(
            f"{name} {score:.3f}" for name, score in scores.loc[names].mean().items()
        )
    )

for name, frame in decoded.items():
    outside = ((frame[binaries] < 0) | (frame[binaries] > 1)).to_numpy().mean()
    sums = np.concatenate(
        [frame[levels(category)].sum(axis=1) for category in CATEGORIES]
    )
    print(f"{name}: {outside:.0%} of binaries outside [0, 1], ", end="")
    print(f"levels sum to {sums.min():.2f} to {sums.max():.2f}")

# %%
# On the left, see how far each bar is above the line of the commonest value. On the
# right, binaries that PCA reconstructs are below 0 and above 1. The autoencoder with
# the squared error stays within: most entries of this table are the smallest or the
# largest of their column, so ``output_activation="auto"`` clips the output. But these
# values are not probabilities, and those of the levels of a category may sum to more or
# less than 1.

figure, axes = plt.subplots(
    1, 2, figsize=(12, 4.4), layout="constrained", width_ratios=[3, 2]
)
places = np.arange(len(scores))
for shift, (name, values) in zip((-0.27, 0, 0.27), scores.items(), strict=True):
    axes[0].bar(places + shift, values, width=0.25, label=name)
for place, value in zip(places, commonest, strict=True):
    axes[0].plot(
        place + np.array([-0.4, 0.4]), [value, value], color="0.5", linewidth=2
    )
axes[0].set(
    xticks=places,
    ylim=(0, 1),
    ylabel="R² or fraction correct",
    title="Held-out households (line: commonest value)",
)
axes[0].set_xticks(places, scores.index, rotation=45)
figure.legend(
    *axes[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=3,
    frameon=False,
)
bins = np.arange(-14, 35) / 20
bins[bins == 1] = np.nextafter(
    1, 2
)  # a bin lacks its right edge, and 1 belongs to the last one within [0, 1]
for frame in decoded.values():
    axes[1].hist(frame[binaries].to_numpy().ravel(), bins, histtype="step", linewidth=2)
axes[1].axvspan(0, 1, color="0.5", alpha=0.15, zorder=0)
axes[1].set(title="Reconstructed binaries", xlabel="reconstruction", yticks=[])

# %%
# With polars
# -----------
# Replace ``"pandas"`` by ``"polars"``: ``Mixed`` only needs names.

import polars as pl  # noqa: E402

columns.set_output(transform="polars")
model = AutoencoderTransformer(3, loss=loss, max_epochs=20, random_state=0)
model.set_output(transform="polars", inverse_transform="polars")
encoded = columns.fit_transform(pl.DataFrame(train.to_dict("list")))
codes = model.fit_transform(encoded)
restored = model.inverse_transform(codes)
print(type(codes), codes.columns)
print(restored.select(pl.col("^category__area_.*$").round(3)).head(3))
