"""
How many units does the data need?
==================================

R² of rows that were not fitted to grows with the number of units, here to the last one. So the answer depends on what
is asked: what each unit adds, the fewest units that reach a given R², or the fewest that do for the task behind the
code. This example asks all three of scikit-learn's digits, images of 8 x 8 pixels.
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
# One fit, all sizes
# ------------------
# In the training of an ordered code the units after a random one are zero. So the first unit has to do most, the second
# what helps the first most, and so on, as PCA's do. The first k units are then a code of k units, and one fit gives the
# R² of all sizes.

ordered = AutoencoderTransformer(n_components=64, ordered=True, random_state=0).fit(X)
pca = PCA(n_components=64).fit(X)

curve = ordered.reconstruction_curve(X_test)
for k in (2, 4, 8, 16, 32, 64):
    print(f"{k:>2} units: R² {curve[k - 1]:.3f}")

# %%
# The fewest units that reach an R²
# ---------------------------------
# A float asks for that R², as for PCA, but of validation rows, which the fit sets aside. ``"auto"`` takes the fewest
# units whose R² on these rows is within one standard error of the best. Both train one ordered code of 64 units and
# keep its first ones. On other rows the R² may be a little lower than asked for, as it is here.

share = AutoencoderTransformer(n_components=0.9, random_state=0).fit(X)
auto = AutoencoderTransformer(n_components="auto", random_state=0).fit(X)
pca_share = PCA(n_components=0.9).fit(X)

for name, estimator in {"0.9": share, '"auto"': auto}.items():
    print(f"n_components={name:<7} {estimator.n_components_:>2} units, R² {estimator.score(X_test):.3f}")
print(f"PCA(0.9)             {pca_share.n_components_:>2} units")

# %%
# The rings are the sizes that 0.9 chose, for which PCA goes by the rows it is fitted to. From 2 to 38 units the
# autoencoder's line is above PCA's. Beyond, PCA is ahead: with 64 units for 64 pixels it reconstructs all, and the
# ordered code, which is trained for all sizes at once, stays a little below.

SizeCurveDisplay.from_estimators(
    {"ordered autoencoder": ordered, "PCA": pca},
    X_test,
    chosen={"ordered autoencoder": share.n_components_, "PCA": pca_share.n_components_},
)

# %%
# What each unit adds
# -------------------
# These are the shares of the training rows. PCA's bars can only fall. The autoencoder's second unit adds more than its
# first: a decoder with hidden layers can do more with two numbers together than with each of them. Its bars are small
# after the fifth and hardly to be seen after the twentieth; PCA's need longer.

_, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained", sharey=True)
ScreeDisplay.from_estimator(ordered, name="ordered autoencoder", ax=axes[0])
ScreeDisplay.from_estimator(pca, name="PCA", ax=axes[1])

# %%
# Fewer units without another fit
# -------------------------------
# ``truncate`` keeps the first units of an ordered code. What this saves in time it costs in R²: a code that is fitted
# for one size alone does better at that size.

for k in (8, 16):
    alone = AutoencoderTransformer(n_components=k, random_state=0).fit(X)
    print(f"{k:>2} units: R² {ordered.truncate(k).score(X_test):.3f} truncated, {alone.score(X_test):.3f} fitted alone")

# %%
# The fewest units that do for a task
# -----------------------------------
# Where a classifier takes the codes, its held-out accuracy can choose. It hardly grows from 16 units on, while R² still
# does. ``one_standard_error`` takes the smallest size that is as good as the best one within the standard error of the
# folds. The bars in the picture are these errors.

pipeline = Pipeline([("reduce", AutoencoderTransformer(max_epochs=30, random_state=0)), ("classify", SVC())])
sizes = [4, 8, 16, 24, 32, 64]
refit = one_standard_error("reduce__n_components")
search = GridSearchCV(pipeline, {"reduce__n_components": sizes}, refit=refit, cv=5, n_jobs=2).fit(X, y)

means = search.cv_results_["mean_test_score"]
errors = search.cv_results_["std_test_score"] / (search.n_splits_ - 1) ** 0.5
for size, mean, error in zip(sizes, means, errors, strict=True):
    print(f"{size:>2} units: accuracy {mean:.3f} ± {error:.3f}")
chosen = search.best_params_["reduce__n_components"]
print(f"best: {sizes[means.argmax()]} units; chosen: {chosen}, test accuracy {search.score(X_test, y_test):.3f}")

ComparisonDisplay({"SVC on the codes": (sizes, means, errors)}, "accuracy").plot()
