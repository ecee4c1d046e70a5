"""Seconds to reach a held-out R², compared with the alternatives that a user has: `make bench-peers`.

    python -m benchmarks.peers [digits|mnist|table ...] [CONTENDER ...]

If contenders are named, only those run, and replace their earlier runs.
Contenders take turns, each in a separate process with two threads, and are killed at three times the limit of their
data. Points and costs go to benchmarks/results/peers.json, the tables to the standard output.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.contenders import CONTENDERS
from benchmarks.peers.data import LIMITS, UNITS

REPEATS = {"digits": 3, "mnist": 1, "table": 1}
THRESHOLDS = {"digits": (0.7, 0.8, 0.85, 0.88), "mnist": (0.7, 0.75, 0.85, 0.9), "table": (0.5, 0.6, 0.7, 0.75)}
PACKAGES = ("torch", "skorch", "scikit-learn", "keras", "tensorflow-cpu", "pyod", "encdr", "numpy")
RESULTS = Path(__file__).parents[1] / "results" / "peers.json"


def contend(name: str, data: str) -> dict:
    """Return the points and the costs of one run."""
    command = [sys.executable, "-m", "benchmarks.peers.contend", name, data]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "2", "OMP_NUM_THREADS": "2"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **quiet}
    )
    try:
        out, err = process.communicate(timeout=3 * LIMITS[data] + 30)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        err = "killed at its limit"
    found: dict = {"points": [], "error": err[-300:] if process.returncode else ""}
    final = [line for line in out.splitlines() if line.startswith("final ")]
    for line in out.splitlines():
        what, *values = line.split()
        if what == "final" or (what == "point" and not final):
            found["points"].append([float(value) for value in values])
        elif what in ("peak", "rate", "latency"):
            found[what] = float(values[0])
    return found


def seconds_to(points: list[list[float]], threshold: float) -> float:
    return min((seconds for seconds, score in points if score >= threshold), default=float("inf"))


def shown(values: list[float], form: str) -> str:
    known = [value for value in values if value != float("inf")]
    return format(statistics.median(known), form) if known and 2 * len(known) >= len(values) else "–"


def print_table(data: str, runs: dict[str, list[dict]]) -> None:
    print(
        f"\n{data}, {UNITS[data]} units; seconds until the held-out R² is reached, medians of {REPEATS[data]} run(s)\n"
    )
    thresholds = THRESHOLDS[data]
    columns = [*(f"{t:g}" for t in thresholds), "best R²", "peak memory / data", "rows a second", "one row, ms"]
    print(f"| | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}")
    for name, found in runs.items():
        cells = [shown([seconds_to(run["points"], t) for run in found], ".2f") for t in thresholds]
        cells.append(shown([max((score for _, score in run["points"]), default=float("inf")) for run in found], ".4f"))
        for what, form, scale in (("peak", ".2f", 1), ("rate", ",.0f", 1), ("latency", ".3f", 1000)):
            cells.append(shown([scale * run.get(what, float("inf")) for run in found], form))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    for name, found in runs.items():
        for run in found:
            if run["error"]:
                print(f"\n{name}: {run['error'].strip().splitlines()[-1]}")


def main() -> None:
    versions = {name: version(name) for name in PACKAGES}
    setup = f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, 2 threads, Python {platform.python_version()}"
    print(f"{setup}, " + ", ".join(f"{name} {number}" for name, number in versions.items()))
    everything = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    chosen = [name for name in CONTENDERS if name in sys.argv[1:]] or list(CONTENDERS)
    for data in [data for data in UNITS if data in sys.argv[1:]] or UNITS:
        fresh: dict[str, list[dict]] = defaultdict(list)
        for _ in range(REPEATS[data]):
            for name in chosen:
                fresh[name].append(contend(name, data))
        earlier = everything.get(data, {"runs": {}})["runs"]
        runs = {name: fresh.get(name, earlier.get(name, [])) for name in CONTENDERS}
        everything[data] = {"on": setup, "versions": versions, "seed": 0, "runs": runs}
        RESULTS.write_text(json.dumps(everything) + "\n")
        print_table(data, runs)


if __name__ == "__main__":
    main()
