"""
Choose the number of components
===============================

Held-out R² grows with the number of components, here up to the last one. So the answer
depends on your goal: the R² that each number of components reaches, the fewest that
reach a given R², or the fewest that suffice for a task. This example answers all three
for scikit-learn's digits, images of 8 x 8 pixels.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import one_standard_error
from sklearn_ae.plotting import ComparisonDisplay, ScreeDisplay, SizeCurveDisplay

X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)

# %%
# One fit for every number of components
# --------------------------------------
# While an ordered code is trained, all components after a randomly chosen one are set
# to zero. So the first component has to do most, the second what helps the first most,
# and so on, as with PCA. The first k components are then a code of their own, and one
# fit gives the R² of every k.

ordered = AutoencoderTransformer(n_components=64, ordered=True, random_state=0).fit(X)
pca = PCA(n_components=64).fit(X)

curve = ordered.reconstruction_curve(X_test)
for k in (2, 4, 8, 16, 32, 64):
    print(f"{k:>2} components: R² {curve[k - 1]:.3f}")

# %%
# The fewest components that reach an R²
# --------------------------------------
# A float sets the R² to reach, as for PCA, but measured on the validation set.
# ``"auto"`` keeps the fewest components whose R² on the validation set is within one
# standard error of the best. Both train one ordered code of 64 components and keep its
# first ones. On other samples the R² may be a little below the target.

fraction = AutoencoderTransformer(n_components=0.9, random_state=0).fit(X)
auto = AutoencoderTransformer(n_components="auto", random_state=0).fit(X)
pca_fraction = PCA(n_components=0.9).fit(X)

for name, estimator in {"0.9": fraction, '"auto"': auto}.items():
    k, r2 = estimator.n_components_, estimator.score(X_test)
    print(f"n_components={name:<7} {k:>2} components, R² {r2:.3f}")
print(f"PCA(0.9)             {pca_fraction.n_components_:>2} components")

# %%
# The rings mark what 0.9 chose; PCA measures it on the samples it is fitted to. From 2
# to 37 components the autoencoder's line is above PCA's. Beyond, PCA is ahead: with 64
# components for 64 pixels it reconstructs everything, and the ordered code, which is
# trained for all numbers of components at once, stays a little below.

SizeCurveDisplay.from_estimators(
    {"ordered autoencoder": ordered, "PCA": pca},
    X_test,
    chosen={
        "ordered autoencoder": fraction.n_components_,
        "PCA": pca_fraction.n_components_,
    },
)

# %%
# What each component adds
# ------------------------
# These are fractions of the variance of the training samples. PCA's bars can only fall.
# The autoencoder's second component adds more than its first: a decoder with hidden
# layers can do more with two numbers together than with each of them. Its bars are
# small after the fifth and hardly visible after the twentieth; PCA's take longer to
# fall.

_, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained", sharey=True)
ScreeDisplay.from_estimator(ordered, name="ordered autoencoder", ax=axes[0])
ScreeDisplay.from_estimator(pca, name="PCA", ax=axes[1])

# %%
# Fewer components without another fit
# ------------------------------------
# ``truncate`` keeps the first components of an ordered code. It saves a fit and costs
# R²: a code that is fitted for one number of components does better at that number.

for k in (8, 16):
    alone = AutoencoderTransformer(n_components=k, random_state=0).fit(X)
    truncated = ordered.truncate(k)
    print(f"{k:>2} components: R² {truncated.score(X_test):.3f} truncated, ", end="")
    print(f"{alone.score(X_test):.3f} fitted alone")

# %%
# The fewest components that suffice for a classifier
# ---------------------------------------------------
# If a classifier uses the codes, let its held-out accuracy decide. It hardly grows from
# 16 components on, while R² still does. ``one_standard_error`` chooses the smallest
# number of components whose accuracy is within the standard error of the folds of the
# best. In the picture the bars are these errors; see where the line becomes flat.

pipeline = Pipeline(
    [
        ("reduce", AutoencoderTransformer(max_epochs=30, random_state=0)),
        ("classify", SVC()),
    ]
)
sizes = [4, 8, 16, 24, 32, 64]
refit = one_standard_error("reduce__n_components")
search = GridSearchCV(
    pipeline, {"reduce__n_components": sizes}, refit=refit, cv=5, n_jobs=2
).fit(X, y)

means = search.cv_results_["mean_test_score"]
errors = search.cv_results_["std_test_score"] / (search.n_splits_ - 1) ** 0.5
for size, mean, error in zip(sizes, means, errors, strict=True):
    print(f"{size:>2} components: accuracy {mean:.3f} ± {error:.3f}")
chosen = search.best_params_["reduce__n_components"]
accuracy = search.score(X_test, y_test)
print(f"best: {sizes[means.argmax()]} components")
print(f"chosen: {chosen} components, test accuracy {accuracy:.3f}")

ComparisonDisplay({"SVC on the codes": (sizes, means, errors)}, "accuracy").plot()
