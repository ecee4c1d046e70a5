"""The plot of the comparison, held-out R² against seconds, to docs/peers.png: python -m benchmarks.peers.draw."""

import json
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.peers.data import UNITS
from benchmarks.pictures import picture

RESULTS = Path(__file__).parents[1] / "results" / "peers.json"
OURS = "sklearn-ae"
#: Lowest R² shown.
FLOORS = {"digits": 0.4, "mnist": 0.4, "table": 0.3}
#: Colours of the others, readable on white and on black.
COLOURS = ("C0", "C1", "C2", "C4", "C5", "C6", "C7", "C8", "C9", "#6a9bd8", "#b08d2e", "#5fae8b", "#c77f9e")
#: Least distance between the names of lines, as a fraction of the height of the axes.
SPACING = 0.058


def best_so_far(points: list[list[float]]) -> tuple[list[float], list[float]]:
    """Return seconds and the best R² so far, with points in order of time."""
    seconds, scores, best = [], [], float("-inf")
    for second, score in sorted(points):
        best = max(best, score)
        seconds.append(second)
        scores.append(best)
    return seconds, scores


def draw_labels(ax: Axes, ends: dict[str, tuple[float, str]]) -> None:
    """Write the name of each line next to its end, at the right of the axes, moved apart where they would overlap."""
    low, high = ax.get_ylim()
    at = {name: (score - low) / (high - low) for name, (score, _) in ends.items()}
    names = sorted(at, key=at.__getitem__)
    places: list[float] = []
    for name in names:
        places.append(max(at[name], places[-1] + SPACING if places else 0.0))
    for i in reversed(range(len(places))):
        places[i] = min(places[i], 1.0 - SPACING * (len(places) - 1 - i))
    for name, place in zip(names, places, strict=True):
        colour = ends[name][1]
        ax.annotate(
            name,
            xy=(1, at[name]),
            xytext=(1.06, place),
            xycoords="axes fraction",
            va="center",
            fontsize="small",
            color=colour,
            weight="bold" if name == OURS else "normal",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "relpos": (0, 0.5)},
        )


def main() -> None:
    everything = json.loads(RESULTS.read_text())
    with picture("peers.png", 1, len(everything), figsize=(12, 4.6)) as (_, axes):
        for ax, (data, found) in zip(axes, everything.items(), strict=True):
            ends: dict[str, tuple[float, str]] = {}
            for i, (name, runs) in enumerate(found["runs"].items()):
                seconds, scores = best_so_far(runs[0]["points"])
                if not scores or scores[-1] < FLOORS[data]:
                    continue
                colour, width = ("C3", 3.0) if name == OURS else (COLOURS[i % len(COLOURS)], 1.2)
                ax.plot(seconds, scores, color=colour, linewidth=width, marker="o" if len(seconds) == 1 else None)
                ends[name] = scores[-1], colour
            ax.set(xscale="log", xlabel="seconds of training", title=f"{data}, {UNITS[data]} components")
            ax.set_ylim(FLOORS[data], 1.0)
            draw_labels(ax, ends)
        axes[0].set_ylabel("best held-out R² so far")


if __name__ == "__main__":
    main()
