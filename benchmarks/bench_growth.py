"""How seconds and memory of a fit grow with samples and features: python -m benchmarks.bench_growth.

durations: seconds of a fit with all defaults, by samples and features. --draw: plot the recorded growth to
docs/growth.png instead.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.pictures import picture
from benchmarks.tables import print_head, print_header, print_row

RECORD = Path(__file__).parent / "results" / "growth.md"
EPOCHS = 2
SIZES = (
    *((n_rows, 10) for n_rows in (1_000, 10_000, 100_000, 1_000_000, 10_000_000)),
    *((10_000, n_features) for n_features in (10, 100, 1_000, 10_000)),
    (1_000_000, 100),
)

#: Samples and features of the fits with all defaults; a million samples of 1,000 features are left out.
DURATIONS = (
    *((n_rows, n_features) for n_rows in (1_000, 10_000, 100_000) for n_features in (10, 100, 1_000)),
    *((1_000_000, n_features) for n_features in (10, 100)),
)

FIT = """
import sys, time, warnings
import numpy as np
import torch
from benchmarks.measure import forget_peak, kib
from sklearn_ae import AutoencoderTransformer
warnings.simplefilter("ignore")
torch.set_num_threads(2)
n_rows, n_features = map(int, sys.argv[1:3])
epochs = sys.argv[3] if sys.argv[3] == "auto" else int(sys.argv[3])
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
seconds, peak = time.perf_counter() - start, (kib("VmHWM") - before) * 1024 / X.nbytes
print(seconds, peak, np.mean(model.net_.history[:, "dur"]), model.n_iter_)
"""


def measured(n_rows: int, n_features: int, epochs: int | str) -> list[float]:
    """Return seconds, peak memory as a multiple of the data, seconds of an epoch and epochs of a fit in a process."""
    command = [sys.executable, "-c", FIT, str(n_rows), str(n_features), str(epochs)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(figure) for figure in result.stdout.split()]


def draw() -> None:
    """Plot seconds and memory against samples and features, with straight lines through the largest."""
    cells = [line.strip("| \n").replace(",", "").split(" | ") for line in RECORD.open() if line.startswith("| 1")]
    found = [(int(row[0]), int(row[1]), float(row[2]), float(row[5])) for row in cells]
    with picture("growth.png", 2, 2, figsize=(8, 6), sharex="col", sharey="row") as (_, axes):
        for column, (what, fixed, at) in enumerate((("samples", 1, 10), ("features", 0, 10_000))):
            points = sorted({row[1 - fixed]: row for row in found if row[fixed] == at}.values())
            sizes = [row[1 - fixed] for row in points]
            for ax, i, name in zip(axes[:, column], (2, 3), ("seconds", "peak memory above data, MB"), strict=True):
                values = [row[i] for row in points]
                ax.loglog(sizes, values, "o-", label="measured")
                ax.loglog(sizes, [values[-1] * size / sizes[-1] for size in sizes], ":", color="0.5", label="linear")
                ax.set_ylabel(name if column == 0 else "")
            axes[1, column].set_xlabel(f"{what}, of {at:,} {'features' if fixed else 'samples'}")
        axes[0, 0].legend()


def main() -> None:
    print_header(f"Growth of a fit, default network, 5 units, {EPOCHS} epochs, float32", (0,))
    print_head(
        "rows", "columns", "seconds", "seconds an epoch", "microseconds an entry", "peak above data, MB", "peak / data"
    )
    for n_rows, n_features in SIZES:
        seconds, peak, epoch, _ = measured(n_rows, n_features, EPOCHS)
        each = f"{1e6 * seconds / (n_rows * n_features):.3f}"
        megabytes = f"{peak * 4 * n_rows * n_features / 1e6:,.0f}"
        print_row(f"{n_rows:,}", f"{n_features:,}", f"{seconds:.2f}", f"{epoch:.2f}", each, megabytes, f"{peak:.2f}")


def print_durations() -> None:
    print_header("Seconds of a fit with all defaults, 5 components, float32", (0,))
    print_head("samples", "features", "seconds", "epochs")
    for n_rows, n_features in DURATIONS:
        seconds, _, _, epochs = measured(n_rows, n_features, "auto")
        print_row(f"{n_rows:,}", f"{n_features:,}", f"{seconds:.1f}", f"{epochs:.0f}")


if __name__ == "__main__":
    {(): main, ("--draw",): draw, ("durations",): print_durations}[tuple(sys.argv[1:])]()
