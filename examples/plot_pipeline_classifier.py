"""
How many units does a classifier need?
======================================

An autoencoder before a classifier is a step of a pipeline like PCA, so that one grid search compares the two at several
sizes by what counts in the end: the held-out accuracy. Here the classifier is a logistic regression and the data
scikit-learn's digits.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.model_selection import one_standard_error
from sklearn_ae.plotting import CodeScatterDisplay, ComparisonDisplay

X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)

# %%
# One grid for both
# -----------------
# All pixels have the same scale, so they go into the autoencoder as they are. The codes are standardised, as the
# regression's penalty treats all columns alike.

pipeline = Pipeline(
    [("reduce", PCA()), ("scale", StandardScaler()), ("classify", LogisticRegression(max_iter=1000))],
)
names = ["autoencoder", "PCA"]
reducers = [AutoencoderTransformer(max_epochs=30, random_state=0), PCA(random_state=0)]
sizes = [2, 4, 8, 16, 24, 32, 48]
grid = {"reduce": reducers, "reduce__n_components": sizes}
search = GridSearchCV(pipeline, grid, refit=one_standard_error("reduce__n_components"), cv=5, n_jobs=2).fit(X, y)

# %%
# The best and the chosen
# -----------------------
# Without ``refit`` the search would keep the candidate of the highest accuracy. ``one_standard_error`` keeps the
# smallest one that is as good within the standard error of the folds. It compares all candidates, of both kinds.

results = search.cv_results_
means = results["mean_test_score"].reshape(2, -1)  # the last name of the grid varies fastest
errors = results["std_test_score"].reshape(2, -1) / (search.n_splits_ - 1) ** 0.5
print("units" + "".join(f"{name:>18}" for name in names))
for i, size in enumerate(sizes):
    print(f"{size:>5}" + "".join(f"{means[j, i]:>10.3f} ± {errors[j, i]:.3f}" for j in range(2)))

for label, index in {"best": results["mean_test_score"].argmax(), "chosen": search.best_index_}.items():
    params = results["params"][index]
    accuracy = pipeline.set_params(**params).fit(X, y).score(X_test, y_test)
    name = names[reducers.index(params["reduce"])]
    print(f"{label}: {name}, {params['reduce__n_components']} units, accuracy {accuracy:.3f} on the test rows")
pixels = pipeline.set_params(reduce="passthrough").fit(X, y).score(X_test, y_test)
print(f"all 64 pixels: accuracy {pixels:.3f} on the test rows")

# %%
# With 8 units or fewer the autoencoder's codes are better for the classifier, most of all with 4. From 16 units on the
# two are the same within their errors, and PCA is fitted in milliseconds: the autoencoder is worth its time where the
# code has to be small. To the right accuracy falls a little. On the test rows neither the best nor the chosen one is as
# good as the pixels themselves: this classifier gains nothing from a code but its smaller size.

ComparisonDisplay({n: (sizes, m, e) for n, m, e in zip(names, means, errors, strict=True)}, "accuracy").plot()

# %%
# A code of two units
# -------------------
# The test rows, with the accuracy that the regression has on these two numbers. The autoencoder parts 0, 2, 4, 6 and 7
# from the rest; in its middle 1, 5 and 8 lie across each other, and 3 beside 9. PCA parts 0, and 4 and 6 less well.

_, axes = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
for ax, reducer, name in zip(axes, reducers, names, strict=True):
    pipeline.set_params(reduce=reducer, reduce__n_components=2).fit(X, y)
    title = f"{name}: accuracy {pipeline.score(X_test, y_test):.3f}"
    CodeScatterDisplay.from_estimator(pipeline["reduce"], X_test, y_test, name=title, ax=ax)
