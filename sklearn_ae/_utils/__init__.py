"""Helpers that know nothing of autoencoders: other packages' versions, threads, autograd, ONNX graphs."""
