"""The plot of the comparison, held-out R² against seconds, to docs/peers.png: python -m benchmarks.peers.draw."""

import json
from pathlib import Path

import matplotlib.pyplot as plt

from benchmarks.peers.data import UNITS

RESULTS = Path(__file__).parents[1] / "results" / "peers.json"
PICTURE = Path(__file__).parents[2] / "docs" / "peers.png"
#: Lowest R² shown.
FLOORS = {"digits": 0.4, "mnist": 0.4, "table": 0.3}


def best_so_far(points: list[list[float]]) -> tuple[list[float], list[float]]:
    """Return seconds and the best R² so far, with points in order of time."""
    seconds, scores, best = [], [], float("-inf")
    for second, score in sorted(points):
        best = max(best, score)
        seconds.append(second)
        scores.append(best)
    return seconds, scores


def main() -> None:
    everything = json.loads(RESULTS.read_text())
    figure, axes = plt.subplots(1, len(everything), figsize=(13, 4.2), layout="constrained")
    for ax, (data, found) in zip(axes, everything.items(), strict=True):
        for i, (name, runs) in enumerate(found["runs"].items()):
            if runs[0]["points"]:
                seconds, scores = best_so_far(runs[0]["points"])
                ours = name == "sklearn-ae"
                style = {"linewidth": 2.5, "color": "black"} if ours else {"linewidth": 1.2, "color": f"C{i - 1}"}
                style |= {"marker": "o"} if len(seconds) == 1 else {"linestyle": "-" if i < 6 else "--"}
                ax.plot(seconds, scores, label=name, **style)
        ax.set(xscale="log", xlabel="seconds of training", title=f"{data}, {UNITS[data]} units")
        ax.set_ylim(bottom=FLOORS[data])
    axes[0].set_ylabel("best held-out R² so far")
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize="small", loc="outside right center")
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
