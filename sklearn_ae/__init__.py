"""An autoencoder that starts as PCA, with the interface of scikit-learn's decompositions."""

from sklearn_ae._autoencoder import AutoencoderTransformer

__all__ = ["AutoencoderTransformer"]
__version__ = "0.1.0"
