"""An autoencoder that starts as PCA, with the interface of scikit-learn's decompositions."""

from sklearn_ae._autoencoder import AutoencoderTransformer
from sklearn_ae._version import __version__ as __version__

__all__ = ["AutoencoderTransformer"]
