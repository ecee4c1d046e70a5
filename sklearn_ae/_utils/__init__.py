"""Helpers independent of autoencoders: compatibility with scikit-learn, threads, ONNX graphs."""
