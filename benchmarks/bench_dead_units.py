"""Dead units of the k-sparse autoencoder on MNIST, 1,000 units, four epochs: learning rate and auxiliary loss.

python -m benchmarks.bench_dead_units
"""

from sklearn.utils import Bunch

from benchmarks.data import MNIST_TRAINING, mnist_split
from benchmarks.tables import print_head, print_header, print_row
from sklearn_ae import AutoencoderTransformer
from sklearn_ae.codes import TopK
from sklearn_ae.model_selection import component_quality
from sklearn_ae.networks import TiedAutoencoder


def main(data: Bunch) -> None:
    """Print a line for each combination."""
    print_head("k", "lr", "aux", "dead units, %", "R², held-out images")
    for k, lr, aux in [(25, lr, aux) for lr in (0.01, 0.03, 0.1) for aux in (0.0, 1 / 32)] + [(10, 0.1, 0.0)]:
        model = AutoencoderTransformer(
            1000,
            code=TopK(k, aux=aux),
            module=TiedAutoencoder,
            lr=lr,
            max_epochs=4,
            random_state=0,
            **MNIST_TRAINING,
        ).fit(data.X)
        print_row(k, lr, aux, f"{100 * component_quality(model).dead:.1f}", f"{model.score(data.X_test):.3f}")


if __name__ == "__main__":
    data = mnist_split(choose=True)
    print_header(f"Dead units of TopK on MNIST, judged on {data.judged_on}", [0])
    main(data)
