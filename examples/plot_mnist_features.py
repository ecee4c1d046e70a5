"""
========================================
Which features does an autoencoder find?
========================================

TODO
"""

# %%
from time import perf_counter

import matplotlib.pyplot as plt
from sklearn.decomposition import NMF, PCA

from sklearn_ae import AutoencoderTransformer
from sklearn_ae.datasets import fetch_mnist
from sklearn_ae.model_selection import reconstruction_score
from sklearn_ae.plotting import ComponentsDisplay

import os
mnist = fetch_mnist()
X, X_test = mnist.data[:int(os.environ.get("N", 60000))], mnist.data_test

def fit_and_draw(decompositions):
    figure, axes = plt.subplots(1, len(decompositions), figsize=(6.5 * len(decompositions), 6.5), layout="compressed")
    for ax, (name, decomposition) in zip(axes, decompositions.items(), strict=True):
        start = perf_counter()
        decomposition.fit(X)
        seconds = perf_counter() - start
        print(f"{name:<32} R² {reconstruction_score(decomposition, X_test):.3f} {seconds:4.0f} s", getattr(decomposition,'n_iter_',''))
        ComponentsDisplay.from_estimator(decomposition, name=name, ax=ax, colorbar=False)

def one_layer(**parameters):
    return AutoencoderTransformer(64, hidden_layer_sizes=(), max_epochs=20, random_state=0, **parameters)

fit_and_draw({"PCA": PCA(64), "NMF": NMF(64, max_iter=50, tol=0)})
plt.savefig('/tmp/e1.png',dpi=60)
fit_and_draw({"relu, dropout 0.5":one_layer(code="relu",dropout=.5),"relu, dropout 0.5, identity output":one_layer(code="relu",dropout=.5,output_activation="identity")})
plt.savefig('/tmp/e2.png',dpi=60)
fit_and_draw({str(d): one_layer(code="relu",dropout=d,output_activation="identity") for d in (0.,.2)})
plt.savefig('/tmp/e3.png',dpi=60)
fit_and_draw({"sigmoid 3e-3":one_layer(code="sigmoid",dropout=.5,output_activation="identity"),"sigmoid 1e-2":one_layer(code="sigmoid",lr=1e-2,dropout=.5,output_activation="identity")})
plt.savefig('/tmp/e4.png',dpi=60)
fit_and_draw({"ident .5":one_layer(dropout=.5,output_activation="identity"),"tied":one_layer(code="relu",dropout=.5,tied_weights=True,output_activation="identity")})
plt.savefig('/tmp/e5.png',dpi=60)
fit_and_draw({"random":one_layer(code="relu",dropout=.5,output_activation="identity",init='random'),"wd 1":one_layer(code="relu",dropout=.5,weight_decay=1,output_activation="identity")})
plt.savefig('/tmp/e6.png',dpi=60)
