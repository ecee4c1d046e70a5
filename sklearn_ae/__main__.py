"""Versions, devices and threads for bug reports: ``python -m sklearn_ae``."""

from importlib.metadata import PackageNotFoundError, version

import torch
from sklearn import show_versions

from sklearn_ae._version import __version__

#: Dependencies of the package and its extras that ``sklearn.show_versions`` leaves out.
OTHERS = (
    "torch",
    "skorch",
    "tqdm",
    "polars",
    "pyarrow",
    "dask",
    "accelerate",
    "skops",
    "onnx",
    "skl2onnx",
    "onnxruntime",
)


def main() -> None:
    """Print versions, devices and threads."""
    print(f"sklearn-ae: {__version__}")
    for name in OTHERS:
        print(f"{name:>13}: {_version_of(name)}")
    print("\nDevices:")
    print(
        f"{'cpu':>13}: {torch.get_num_threads()} threads of torch, {torch.get_num_interop_threads()} between operators"
    )
    for i in range(torch.cuda.device_count()):
        print(f"{f'cuda:{i}':>13}: {torch.cuda.get_device_name(i)}")
    show_versions()


def _version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
