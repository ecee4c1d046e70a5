"""How seconds and memory of a fit grow with rows and columns: python -m benchmarks.bench_growth."""

import subprocess
import sys

from benchmarks.tables import print_head, print_header, print_row

EPOCHS = 2
SIZES = (
    *((n_rows, 10) for n_rows in (1_000, 10_000, 100_000, 1_000_000, 10_000_000)),
    *((10_000, n_features) for n_features in (10, 100, 1_000, 10_000)),
    (1_000_000, 100),
)

FIT = """
import sys, time, warnings
import numpy as np
import torch
from benchmarks.measure import forget_peak, kib
from sklearn_ae import AutoencoderTransformer
warnings.simplefilter("ignore")
torch.set_num_threads(2)
n_rows, n_features, epochs = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
X = np.empty((n_rows, n_features), np.float32)
mixing = rng.standard_normal((5, n_features), dtype=np.float32)
for i in range(0, n_rows, 10_000):
    hidden = rng.standard_normal((min(10_000, n_rows - i), 5), dtype=np.float32)
    X[i : i + 10_000] = np.tanh(hidden @ mixing) + 0.3 * rng.standard_normal((len(hidden), n_features))
model = AutoencoderTransformer(5, max_epochs=epochs, random_state=0)
model.fit(X[:500])
forget_peak()
before, start = kib("VmRSS"), time.perf_counter()
model.fit(X)
print(time.perf_counter() - start, (kib("VmHWM") - before) * 1024 / X.nbytes, np.mean(model.net_.history[:, "dur"]))
"""


def main() -> None:
    print_header(f"Growth of a fit, default network, 5 units, {EPOCHS} epochs, float32", (0,))
    print_head(
        "rows", "columns", "seconds", "seconds an epoch", "microseconds an entry", "peak memory above data / data"
    )
    for n_rows, n_features in SIZES:
        command = [sys.executable, "-c", FIT, str(n_rows), str(n_features), str(EPOCHS)]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, peak, epoch = map(float, result.stdout.split())
        each = f"{1e6 * seconds / (n_rows * n_features):.3f}"
        print_row(f"{n_rows:,}", f"{n_features:,}", f"{seconds:.2f}", f"{epoch:.2f}", each, f"{peak:.2f}")


if __name__ == "__main__":
    main()
