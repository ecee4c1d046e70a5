"""AutoencoderTransformer, an autoencoder with the interface of PCA."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy, deepcopy
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from torch import Tensor, nn

from sklearn_ae._checkpoints.checkpoint import Checkpoint, checkpoint_of
from sklearn_ae._data.columns import ColumnStats, ColumnVariation, check_range, check_scale, warn_about_ranges
from sklearn_ae._data.out_of_core import is_one_shot
from sklearn_ae._data.scaling import Scaling
from sklearn_ae._data.split import Split, held_out_rows
from sklearn_ae._data.tables import SparseTable, Table
from sklearn_ae._data.training_rows import TrainingRows, to_training_rows
from sklearn_ae._estimator.configuration import (
    PARAMETER_CONSTRAINTS,
    batch_size_for,
    check_members,
    checked_module,
    choose_architecture,
    find_device,
    find_device_or_cpu,
)
from sklearn_ae._estimator.fitted import FittedAutoencoder
from sklearn_ae._estimator.persistence import pack, restored_modules, unpack
from sklearn_ae._estimator.size_selection import is_selected_by_fit, smallest_sufficient
from sklearn_ae._model.canonical import canonicalize_
from sklearn_ae._model.fitted_model import in_float64
from sklearn_ae._model.initializers import initialize_
from sklearn_ae._model.module import Autoencoder
from sklearn_ae._model.statistics import CodeMoments, add_moments
from sklearn_ae._model.weights import weights_of
from sklearn_ae._training.callbacks import KeepBest
from sklearn_ae._training.net import AutoencoderNet, Objective, train_one_pass, warn_if_not_converged
from sklearn_ae._training.optimizers import optimizer_settings
from sklearn_ae._training.processes import SingleProcess, processes_for
from sklearn_ae._training.resume import WriteCheckpoint
from sklearn_ae._training.sklearn_callbacks import CallbackContext, SklearnCallbacks
from sklearn_ae._utils.compat import CallbackSupportMixin, fit_context
from sklearn_ae._utils.threads import one_thread_after_fork
from sklearn_ae.base import DataBounds, Member, Step
from sklearn_ae.codes import Code
from sklearn_ae.corruptions import corruption_of
from sklearn_ae.losses import Loss
from sklearn_ae.penalties import penalties_of

__all__ = ["AutoencoderTransformer"]

#: Steps that the average of the weights, which training evaluates and keeps, reaches back.
AVERAGE_WINDOW = 400


class AutoencoderTransformer(CallbackSupportMixin, FittedAutoencoder):
    """Autoencoder that starts as PCA, with PCA's interface.

    Two halves of a network, an encoder to `n_components` numbers and a decoder back, are trained to reconstruct the
    data. Each half is an affine map plus a multilayer perceptron::

        encode(x) = code(A x + a + f(x))
        decode(h) = output(W h + b + g(h))

    Before the first step it reconstructs as ``PCA(n_components)`` does, and training keeps the best weights seen, the
    start included. Data is centred and divided by one number, its overall root mean square, on the way in, so that
    shifting or scaling all of the data changes nothing; scaling column by column stays the user's choice, as for PCA.

    Parameters
    ----------
    n_components : int, float or "auto", default=2
        Number of units of the code, at least 1. A float in (0, 1) is the R² of the validation rows to reach with as few
        units as possible, in the spirit of PCA's; ``"auto"`` keeps the fewest whose R² on them is within one standard
        error of the best [9]_. Both train one ordered code of ``min(n_samples, n_features, 128)`` units and keep
        its first ones; ``n_components_`` tells how many. Without `early_stopping` the training rows decide.
    ordered : bool, default=False
        Whether each prefix of the code is to be a code itself: in training the units of each row after a random one
        are zero, for the decoder alone (nested dropout [8]_). One fit then serves all smaller sizes, see
        :meth:`truncate` and :meth:`reconstruction_curve`, at some cost in R² for each. A linear ordered autoencoder
        has PCA's axes, not only their span.
    hidden_layer_sizes : int or sequence of int, default=(128,)
        Widths of the hidden layers of f, from the data to the code; g has them reversed. Empty for an autoencoder
        without hidden layers.
    activation : {"relu", "silu", "gelu", "tanh", "sigmoid", "identity"} or type of torch.nn.Module, default="silu"
        The nonlinearity after each hidden layer; a class is called without arguments.
    code : {"identity", "relu", "sigmoid", "tanh", "top_k", "winner_take_all", "gaussian"} or Code, default="identity"
        What is made of the encoder's output; a member of :mod:`sklearn_ae.codes`, a name standing for one with its
        defaults. :class:`~sklearn_ae.codes.TopK` keeps the k largest units of each row, ``WinnerTakeAll`` the largest
        rows of each unit, and :class:`~sklearn_ae.codes.Gaussian` makes a variational autoencoder.
    loss : {"squared_error", "absolute_error", "huber", "log_loss", "poisson", "cross_entropy"} or Loss, \
            default="squared_error"
        What training minimises, averaged over entries; a member of :mod:`sklearn_ae.losses`. ``"log_loss"`` is the
        cross-entropy in nats, for data in [0, 1], ``"poisson"`` for counts, ``"cross_entropy"`` for rows that sum to
        1. :class:`~sklearn_ae.losses.Mixed` has different losses for different columns.
    output_activation : {"auto", "identity", "clip", "sigmoid", "softplus", "softmax", "by_columns"}, default="auto"
        ``"clip"`` limits outputs to each column's range in the training data. ``"sigmoid"`` is for data in [0, 1],
        which the network then works on as it is; it is the only one for ``"log_loss"``, as ``"softplus"`` is for
        ``"poisson"``, ``"softmax"`` for ``"cross_entropy"`` and ``"by_columns"`` for ``Mixed``. ``"auto"`` takes what
        suits the loss: for squared, absolute and Huber's error ``"clip"`` where at least three tenths of the entries
        repeat the least or greatest value of their column, as in images, unless the code is ``TopK`` or
        ``WinnerTakeAll``, whose features would suffer; otherwise ``"identity"``.
    dropout : float, default=0.0
        Share of the units of the code that are dropped in each training step, in [0, 1). Never when transforming.
    penalty : {"l1", "kl_sparsity", "contractive", "orthogonal"}, Penalty or list of these, default=None
        What is added to the loss; members of :mod:`sklearn_ae.penalties`. A list adds up.
    corruption : float, {"masking", "gaussian_noise", "salt_and_pepper"} or Corruption, default=None
        What is done to the input of a training step, which still has to reconstruct the clean row: the denoising
        autoencoder [7]_; a member of :mod:`sklearn_ae.corruptions`. A float in [0, 1) is the rate of masking. Never
        when transforming.
    tied_weights : bool, default=False
        Whether the decoder's matrix is the encoder's transpose, W = A'. Needs ``hidden_layer_sizes=()``.
    module : torch.nn.Module, or class or callable that returns one, default=None
        A network of your own with ``encode`` and ``decode``, in place of the one that `hidden_layer_sizes` and
        `activation` describe. An instance is copied, never changed; anything else is called with those of
        ``n_features``, ``n_components`` and ``n_preactivations`` that its signature names.
        :class:`~sklearn_ae.networks.ConvAutoencoder` is one for images.
    init : {"auto", "pca", "transpose", "random"}, default="auto"
        ``"pca"``: principal axes in A and W, f and g zero. ``"transpose"``: random unit vectors in W, A their
        transpose, f and g zero [5]_. ``"random"``: He's scheme in every layer [4]_. ``"auto"`` is ``"pca"`` for the
        identity and the Gaussian code and ``"transpose"`` for others; a `module` without an affine path keeps the
        weights that it comes with.
    missing : {"error", "mask"}, default="error"
        What becomes of NaN. ``"mask"``: a missing entry enters as its column's mean, and loss, scores and errors count
        observed entries alone; see :meth:`impute`. A column without an observed entry has the mean 0. Masking as a
        `corruption` then sets entries to the mean too, as if they were missing.
    optimizer : {"adamw", "adam", "sgd"} or type of torch.optim.Optimizer, default="adamw"
        ``"sgd"`` has a Nesterov momentum of 0.9. A class gets the weights, `lr` and, if not 0, `weight_decay`.
    lr : float, default=3e-3
        Learning rate, above 0. Training evaluates and keeps an average of the weights, which settles what a constant
        rate leaves unsettled.
    lr_schedule : {"constant", "linear"}, default="constant"
        ``"linear"`` raises the rate over the first fiftieth of the steps and lowers it to zero at `max_epochs`: better
        where the number of epochs is known beforehand, as for large data.
    weight_decay : float, default=0.0
        Weight decay of the optimizer, at least 0; with ``"adamw"`` decoupled from the gradient.
    batch_size : "auto" or int, default="auto"
        Rows in a training step. ``"auto"`` is the power of two next below a twentieth of the training rows, from 16 to
        256.
    max_epochs : int, default=200
        Greatest number of passes over the training rows; 0 leaves the start.
    early_stopping : bool, default=True
        Whether to hold out rows for validation, which choose the best epoch and when to stop. Without, both go by the
        training loss.
    validation_fraction : float, default=0.1
        Share of the rows held out where `early_stopping` is set, in (0, 1), rounded up to whole rows.
    n_iter_no_change : int, default=20
        Stop after so many epochs without an improvement of the objective by `tol`. Epochs in which a code is still
        annealed or warmed up do not count.
    tol : float, default=1e-4
        See `n_iter_no_change`. For the squared error it is in units of R².
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights, centre and scale of the previous one, where it gave a network of the
        same shape.
    device : str or torch.device, default="cpu"
        Where to train and transform. ``"auto"`` is CUDA where torch sees it, otherwise the CPU.
    precision : {"float32", "bfloat16"}, default="float32"
        Precision of the products in training. ``"bfloat16"`` rounds what the network's layers multiply to that,
        keeps weights, sums, code, loss and validation in float32, and ends at nearly the same R² [10]_. It pays for
        wide layers, on GPUs and CPUs that multiply bfloat16; on others it is slower.
    distributed : bool, default=False
        Whether ``fit`` trains in all processes that ``torchrun`` or ``accelerate launch`` started, on one machine or
        several. Each must call it with the same X and parameters; seed and split are those of process 0. Every batch
        of `batch_size` rows is shared out among them, and one step is taken with the gradients of all: without noise
        the result is that of one process, apart from rounding, and it is the same in all of them. Each process draws
        its own noise, and statistics over a batch, as of ``KLSparsity`` or ``WinnerTakeAll``, are those of its share.
        Without a launcher it is an ordinary fit. Needs Hugging Face Accelerate, the extra ``distributed``.
        Everything else, ``partial_fit`` included, works in its own process alone.
    callbacks : sequence of skorch callbacks, default=None
        Instances or (name, instance) pairs that see every epoch and step of `net_`. They are used as they are, not
        copied.
    checkpoint : str or os.PathLike, default=None
        A file to which each epoch of ``fit`` writes what it needs to go on after a kill, whole or not at all; the one
        before stays beside it, with ``.previous`` after its name. A file of other data or other parameters, or one that
        is no checkpoint, is refused with a ValueError. It remains after the fit. Not for several processes.
    resume : bool, default=False
        Whether ``fit`` goes on from `checkpoint`, where that exists, and ends in the same bits as one that was never
        killed: on the same machine with as many threads, and with the same data and parameters. What is stored of a
        `random_state` that is not an int wins. State of your own `callbacks` is not kept.
    random_state : int, RandomState instance or None, default=None
        Seed of the validation split, the start, the order of rows, dropout and noise. An int gives the same bits each
        time on the same machine with as many threads. The global generator of torch is never used, but by layers of a
        `module` of your own: it is seeded while a class is built, and then put back. Layers that draw in training,
        such as ``torch.nn.Dropout``, take it as it is.
    verbose : int, default=0
        1 shows a progress bar with epoch, loss, validation R² and time left; 0 prints nothing.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The decoder's Jacobian at the mean code of the training rows, before the output activation, a row a unit. For an
        affine decoder that is its columns: the decoded unit vector minus the decoded zero [6]_. For the identity code
        without dropout rows are orthonormal, as PCA's; rows of zeros stand for units that the decoder ignores.
    mean_ : ndarray of shape (n_features,)
        Mean of each column of the training data.
    explained_variance_ : ndarray of shape (n_components,)
        Variance of each unit times the squared length of its row of `components_`, in squared units of the data, in
        decreasing order but for `ordered`.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        The R² of the training data, shared out in proportion to `explained_variance_`; PCA's for a linear autoencoder.
        With `ordered` what each unit adds to the R² of those before it, negative where it makes it worse.
    n_components_ : int
        Number of units of the code; what was chosen where `n_components` is no integer.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X had names that are all strings.
    n_iter_ : int
        Number of epochs trained; for ``partial_fit`` the number of calls, after ``fit`` added to its epochs.
    best_epoch_ : int
        The epoch whose weights were kept, 0 for the start.
    loss_curve_ : ndarray of shape (`n_iter_`,)
        Mean training loss of each epoch, per entry, in the network's coordinates.
    validation_scores_ : ndarray of shape (`n_iter_` + 1,) or None
        R² of the validation rows without noise: of the start, then after each epoch. None without `early_stopping` and
        after ``partial_fit``.
    module_ : torch.nn.Module
        The network, in centred and scaled coordinates.
    net_ : skorch.NeuralNet
        The skorch net that trained it, usable as one; its ``history`` has the epochs.

    See Also
    --------
    sklearn.decomposition.PCA : The best linear code.
    sklearn.decomposition.NMF : A linear code without negative numbers.
    sklearn_ae.model_selection.reconstruction_score : One scorer for all of these.

    Notes
    -----
    Never worse than PCA: for the identity code, not `ordered`, the squared error, identity or clip output and no
    dropout, penalty or corruption, the R² of the validation rows is at least that of PCA fitted on the other training
    rows. Elsewhere the start is a good one and no more. With ``hidden_layer_sizes=()``, the identity code and
    ``output_activation="identity"`` the optimum *is* PCA [2]_: no autoencoder with a linear decoder has a smaller
    squared error [1]_. What makes the difference is the hidden layers [3]_, and on images some of it the clipping.

    After training the units of the code are put in an order, without changing any reconstruction. The identity code
    without dropout, or a penalty on codes, is rotated so that units are uncorrelated and `components_` orthonormal,
    with the signs of PCA; other codes are ordered by explained variance. With `ordered` the order is that of training:
    an identity code only gets the signs and rows of `components_` of length 1.

    X may be a torch tensor on any device: results are then tensors there. It may be a sparse matrix or array, of which
    only batches are made dense, or a source of rows that need not fit into
    memory: a ``numpy.memmap``, a dataset of h5py, an array of Zarr, a dask array or data frame, a
    ``pyarrow.dataset.Dataset`` of numbers, a list of arrays or data frames, or an iterable that yields the same chunks
    of rows each time that it is iterated. Where the float32 copy of a source is within scikit-learn's
    ``working_memory``, 1 GiB unless it is configured, the source is loaded. Where not it is read block by block,
    several times before the first epoch and once in each; an epoch takes blocks in random order and shuffles the rows
    of a few of them at a time.

    Of a dask array or data frame :meth:`transform`, :meth:`inverse_transform`, :meth:`score_samples` and
    :meth:`reconstruction_error` give a lazy one, block by block, as the estimator is at that time; :meth:`score` adds
    up blocks.

    References
    ----------
    .. [1] Eckart, C. and Young, G. (1936). The approximation of one matrix by another of lower rank. Psychometrika 1.
    .. [2] Baldi, P. and Hornik, K. (1989). Neural networks and principal component analysis: learning from examples
       without local minima. Neural Networks 2.
    .. [3] Hinton, G. and Salakhutdinov, R. (2006). Reducing the dimensionality of data with neural networks. Science
       313.
    .. [4] He, K., Zhang, X., Ren, S. and Sun, J. (2015). Delving deep into rectifiers: surpassing human-level
       performance on ImageNet classification. ICCV.
    .. [5] Gao, L. et al. (2024). Scaling and evaluating sparse autoencoders. arXiv:2406.04093.
    .. [6] Ferretti (2015). Extracting features from MNIST digits with an autoencoder.
    .. [7] Vincent, P. et al. (2010). Stacked denoising autoencoders: learning useful representations in a deep network
       with a local denoising criterion. JMLR 11.
    .. [8] Rippel, O., Gelbart, M. and Adams, R. (2014). Learning ordered representations with nested dropout. ICML.
    .. [9] Breiman, L., Friedman, J., Olshen, R. and Stone, C. (1984). Classification and regression trees. Wadsworth.
    .. [10] Kalamkar, D. et al. (2019). A study of BFLOAT16 for deep learning training. arXiv:1905.12322.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae import AutoencoderTransformer
    >>> X = load_digits().data
    >>> autoencoder = AutoencoderTransformer(n_components=10, max_epochs=20, random_state=0).fit(X[:1500])
    >>> autoencoder.transform(X[1500:]).shape
    (297, 10)
    >>> pca = PCA(n_components=10).fit(X[:1500])
    >>> error = ((X[1500:] - pca.inverse_transform(pca.transform(X[1500:]))) ** 2).sum(axis=1)
    >>> bool(autoencoder.reconstruction_error(X[1500:]).mean() < error.mean())
    True

    One ordered fit serves all smaller sizes:

    >>> ordered = AutoencoderTransformer(10, ordered=True, max_epochs=20, random_state=0).fit(X[:1500])
    >>> curve = ordered.reconstruction_curve(X[1500:])
    >>> bool(np.isclose(ordered.truncate(4).score(X[1500:]), curve[3]))
    True
    """

    net_: AutoencoderNet
    validation_scores_: np.ndarray | None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = PARAMETER_CONSTRAINTS

    def __init__(
        self,
        n_components: int | float | str = 2,
        *,
        ordered: bool = False,
        hidden_layer_sizes: Sequence[int] | int = (128,),
        activation: str | type[nn.Module] = "silu",
        code: str | Code = "identity",
        loss: str | Loss = "squared_error",
        output_activation: str = "auto",
        dropout: float = 0.0,
        penalty: Any = None,
        corruption: Any = None,
        tied_weights: bool = False,
        module: Any = None,
        init: str = "auto",
        missing: str = "error",
        optimizer: str | type[torch.optim.Optimizer] = "adamw",
        lr: float = 3e-3,
        lr_schedule: str = "constant",
        weight_decay: float = 0.0,
        batch_size: str | int = "auto",
        max_epochs: int = 200,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 20,
        tol: float = 1e-4,
        warm_start: bool = False,
        device: str | torch.device = "cpu",
        precision: str = "float32",
        distributed: bool = False,
        callbacks: Sequence[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.ordered = ordered
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.code = code
        self.loss = loss
        self.output_activation = output_activation
        self.dropout = dropout
        self.penalty = penalty
        self.corruption = corruption
        self.tied_weights = tied_weights
        self.module = module
        self.init = init
        self.missing = missing
        self.optimizer = optimizer
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.device = device
        self.precision = precision
        self.distributed = distributed
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.resume = resume
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : array-like, sparse matrix or source of shape (n_samples, n_features)
            At least two rows of finite numbers, or NaN with ``missing="mask"``. Not modified, and not copied but for
            one float32 tensor. For sources see the notes of the class.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        self : AutoencoderTransformer
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a combination of parameters cannot be used, if `checkpoint` is a file of another fit or none of
            ours, or if the loss stops being finite twice. An earlier fit is then left as it was.
        OSError
            If `checkpoint` cannot be written, as on a full disk. Training then ends early, and the estimator is fitted,
            with the best weights so far.

        Warns
        -----
        ConvergenceWarning
            If `max_epochs` ended training while it still improved: the best epoch is among the last tenth, and
            `lr_schedule` is ``"constant"``.
        UserWarning
            If Ctrl-C broke training off; the best weights so far are kept. If `checkpoint` is damaged and the one
            before it is taken. If no number of units reaches the R² that `n_components` asks for; all are kept. If the
            ranges of two columns of dense data differ by a factor of 1,000 or more, where both are centred and scaled.
        """
        tasks = CallbackContext.of(self, X, y)
        with _unchanged_on_failure(self), one_thread_after_fork():
            device = find_device(self.device)
            processes = processes_for(self.distributed, device)
            earlier = vars(self).copy() if self.warm_start and hasattr(self, "module_") else {}
            table = self._table(X, reset=True, least=2)
            random_state = processes.broadcast_object(check_random_state(self.random_state))
            columns, spread = self._look_at(table)
            going_on = earlier.get("_architecture") == self._architecture
            checkpoint = checkpoint_of(self, warm=going_on, alone=type(processes) is SingleProcess)
            valid_rows = self._held_out(table, random_state)
            seed = int(random_state.randint(np.iinfo(np.int32).max))
            if checkpoint is not None:
                seed, valid_rows = checkpoint.restore_split(seed, valid_rows)
            split = None if valid_rows is None else Split(valid_rows)
            module = self._new_module(columns, seed).to(device)
            if going_on:
                module.load_state_dict(earlier["module_"].state_dict())
            else:
                self._set_scaling(module, columns, spread)
            if not isinstance(table, SparseTable):  # whose ranges hang on single entries
                warn_about_ranges(columns, module.output.unscaled, self._names)
            rows = self._rows(table, columns, device)
            if checkpoint is not None:
                checkpoint.check_data(table.shape, self._what_tells(rows))
            train, valid = (rows, None) if split is None else split(rows)
            if not going_on:
                initialize_(module, self.init, train, torch.Generator().manual_seed(seed))
            self._widen(module, columns)
            if self.distributed:
                processes.check_same(self._facts(rows) | {"the fit to go on from": going_on})
            self._train(module, rows, split, seed, processes, checkpoint, tasks)
            self._publish_whole(module, rows, valid)
        if checkpoint is not None and checkpoint.failure is not None:
            raise checkpoint.failure
        if tasks is not None:
            tasks.end()
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one pass over X, going on from the present weights.

        The first call, unless ``fit`` came before it, starts as PCA of its rows and fixes ``mean_``, the scale and the
        order and axes of the code, so that codes do not jump from call to call; where `n_components` is no integer, its
        rows choose the number of units too. The weights are those after the last step: there is no validation split and
        no averaging.

        Parameters
        ----------
        X : array-like, sparse matrix, source or iterator of shape (n_samples, n_features)
            Rows of finite numbers, or NaN with ``missing="mask"``; at least two in the first call. An iterator, such as
            a generator, yields chunks of rows, and each of these is a call.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        self : AutoencoderTransformer
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a combination of parameters cannot be used, or if training diverges. The estimator is then left as
            it was.
        """
        if is_one_shot(X):
            for chunk in X:
                self.partial_fit(chunk)
            if not hasattr(self, "module_"):
                raise ValueError(
                    "X is an iterator without a chunk; it must yield arrays of shape (n_rows, n_features)."
                )
            return self
        with _unchanged_on_failure(self), one_thread_after_fork():
            first = not hasattr(self, "module_")
            table = self._table(X, reset=first, least=2 if first else 1)
            if first:
                columns, spread = self._look_at(table)
                self.n_iter_, self.loss_curve_ = 0, np.empty(0)
                seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
                module = self._new_module(columns, seed).to(find_device(self.device))
                self._moments = self._new_moments(module)
                self._set_scaling(module, columns, spread)
                rows = self._rows(table, columns, module.device)
                initialize_(module, self.init, rows, torch.Generator().manual_seed(seed))
                net = self._net(module, len(rows), seed, max_epochs=1, train_split=None)
            else:
                columns = table.columns(self._names, allow_nan=self.missing == "mask")
                check_members(self._architecture, self.module_, self._members)
                self._check_range(columns, self.module_)
                rows = self._rows(table, columns, self.module_.device)
                net = self._net_for_passes(len(rows))
            before = weights_of(net.module_)
            self._widen(net.module_, columns)
            net.data_bounds, net.fill = self._data_bounds(net.module_.device), rows.fill
            loss = train_one_pass(net, rows, before)
            self.net_, self.module_ = net, net.module_
            self.n_iter_ += 1
            self.best_epoch_, self.validation_scores_ = self.n_iter_, None
            self.loss_curve_ = np.append(self.loss_curve_, loss)
            self._publish(net.module_, rows, set_code_map=first)
            if first:
                self._keep_enough(rows, None)
        return self

    @property
    def _members(self) -> tuple[Member | None, ...]:
        return (*penalties_of(self.penalty), corruption_of(self.corruption))

    def _look_at(self, table: Table) -> tuple[ColumnStats, ColumnVariation]:
        """Return what the columns of the data hold, and choose the architecture."""
        columns = table.columns(self._names, allow_nan=self.missing == "mask")
        spread = table.spread(columns)
        penalties = penalties_of(self.penalty)
        self._architecture = choose_architecture(self, penalties, table.shape, columns, spread, self._names)
        return columns, spread

    def _held_out(self, table: Table, random_state: Any) -> np.ndarray | None:
        """Return the validation rows, None where there are to be none."""
        if not self.early_stopping:
            return None
        return held_out_rows(len(table), self.validation_fraction, random_state, table.most_held_out)

    def _what_tells(self, rows: TrainingRows) -> Iterator[np.ndarray]:
        """Yield the arrays that tell training data from other."""
        yield from (self.mean_, np.array([self._scaling.scale]))
        for chunk in rows.chunks():
            yield chunk.cpu().numpy()

    def _new_module(self, columns: ColumnStats, seed: int) -> Autoencoder:
        """Return a module without a start, after checking that data and all members of the axes fit it."""
        module = checked_module(self._architecture, self._members, seed)
        self._check_range(columns, module)
        return module

    def _check_range(self, columns: ColumnStats, module: Autoencoder) -> None:
        what = f"loss={self.loss!r} with output_activation={self.output_activation!r}"
        check_range(columns.bounds, module.output.data_range, self._names, what)

    def _set_scaling(self, module: Autoencoder, columns: ColumnStats, spread: ColumnVariation) -> None:
        self.mean_, self._bounds, self._observed = columns.mean, columns.bounds, columns.n_observed > 0
        self._scaling = Scaling.of(columns.mean, spread, module.output.unscaled)
        check_scale(self._scaling.scale)

    def _rows(self, table: Table, columns: ColumnStats, device: torch.device) -> TrainingRows:
        """Return training rows in the coordinates."""
        return to_training_rows(table, self._scaling, device, self._fill_on(device) if columns.gaps else None)

    def _fill_on(self, device: torch.device) -> Tensor | None:
        return None if self._fill is None else self._fill.to(device, torch.float32)

    def _data_bounds(self, device: torch.device) -> DataBounds:
        """Return the landmarks of the data seen; masking is to make entries look as if they were missing."""
        data_bounds, fill = self._scaling.data_bounds(self._bounds, device), self._fill_on(device)
        return data_bounds if fill is None else data_bounds._replace(zero=fill)

    def _widen(self, module: Autoencoder, columns: ColumnStats) -> None:
        """Let the range of the data seen hold that of the columns; one without an observed entry has none."""
        here, before = columns.n_observed > 0, self._observed
        self._bounds = tuple(  # type: ignore[assignment]
            np.where(here & before, widest(new, old), np.where(here, new, old))
            for widest, new, old in zip((np.minimum, np.maximum), columns.bounds, self._bounds, strict=True)
        )
        self._observed = here | before
        module.output.set_range(*(torch.from_numpy(self._scaling.transform_point(bound)) for bound in self._bounds))

    def _net(self, module: Autoencoder, n_rows: int, seed: int, **settings: Any) -> AutoencoderNet:
        """Return an initialized net that trains a module on so many rows."""
        loss, code = self._architecture.loss, self._architecture.code
        terms: list[Callable[[Step], Tensor]] = [*code.terms, *penalties_of(self.penalty)]
        net = AutoencoderNet(
            module,
            criterion=Objective(loss, terms, loss.n_entries(self._architecture.n_features)),
            lr=self.lr,
            batch_size=batch_size_for(n_rows) if self.batch_size == "auto" else self.batch_size,
            predict_nonlinearity=None,
            verbose=self.verbose,
            device=module.device,
            seed=seed,
            precision=self.precision,
            corruption=corruption_of(self.corruption),
            data_bounds=self._data_bounds(module.device),
            **optimizer_settings(self.optimizer, self.weight_decay),
            **{"callbacks": list(self.callbacks or [])} | settings,
        )
        return net.initialize()

    def _facts(self, rows: TrainingRows) -> dict[str, Any]:
        """Return what must be the same in all processes that train together, by name."""
        own = ("callbacks", "device", "random_state", "verbose")
        params = {name: value for name, value in self.get_params(deep=False).items() if name not in own}
        plain = {name: value for name, value in params.items() if isinstance(value, (bool, int, float, str, tuple))}
        first = next(rows.chunks())[:8].cpu().numpy()
        data = {"mean of X": self.mean_.tobytes(), "first rows of X": first.tobytes()}
        return {"shape of X": rows.shape, **data, **plain}

    def _train(
        self,
        module: Autoencoder,
        rows: TrainingRows,
        split: Split | None,
        seed: int,
        processes: SingleProcess,
        checkpoint: Checkpoint | None,
        tasks: CallbackContext | None,
    ) -> None:
        """Train on rows and set what ``fit`` tells of the training."""
        members = (self._architecture.code, self._architecture.loss, *penalties_of(self.penalty))
        keep_best = KeepBest(self.n_iter_no_change, self.tol, max(member.annealed_until for member in members))
        own: list[Any] = []
        if tasks is not None:
            own.append(SklearnCallbacks(tasks, lambda net: self._as_if_over(net, keep_best, rows, split)))
        if checkpoint is not None:
            own.append(WriteCheckpoint(checkpoint))
        net = self._net(
            module,
            len(rows) - (0 if split is None else len(split.valid)),
            seed,
            callbacks=[*(self.callbacks or []), *own],
            max_epochs=self.max_epochs,
            lr_schedule=self.lr_schedule,
            train_split=split,
            average_window=AVERAGE_WINDOW,
            keep_best=keep_best,
            validation_mean=self._mean_on(rows.device),
            column_weights=self._widths_on(rows.device),
            fill=rows.fill,
            processes=processes,
        )
        processes.broadcast_weights(module)
        net.partial_fit(rows)
        processes.broadcast_weights(module)  # machines may round differently
        net.train_split, net.processes = (
            None,
            SingleProcess(),
        )  # the indices are for these rows alone, the net for anyone
        self._tell_training(net, module, keep_best)
        warn_if_not_converged(net)

    def _tell_training(self, net: AutoencoderNet, module: Autoencoder, keep_best: KeepBest) -> None:
        """Set what is told of a training that is over, or as if it were."""
        scores = keep_best.validation_scores_
        self.net_, self.module_ = net, module
        self.loss_curve_ = np.array([epoch["train_loss"] for epoch in net.history if "train_loss" in epoch])
        self.validation_scores_ = None if scores is None else np.array(scores)
        self.n_iter_, self.best_epoch_ = len(self.loss_curve_), keep_best.chosen[0]

    def _as_if_over(
        self, net: AutoencoderNet, keep_best: KeepBest, rows: TrainingRows, split: Split | None
    ) -> dict[str, Any]:
        """Return the attributes of this estimator as if training had ended here."""
        fitted, module = copy(self), deepcopy(net.module_).eval()
        module.load_state_dict(keep_best.chosen[1])
        fitted._tell_training(net, module, keep_best)
        fitted._publish_whole(module, rows, None if split is None else split(rows)[1])
        return dict(vars(fitted))

    def _publish_whole(self, module: Autoencoder, rows: TrainingRows, valid: TrainingRows | None) -> None:
        """Set what is told of a network that was trained on all of some rows."""
        self._moments = self._new_moments(module)
        self._publish(module, rows, set_code_map=True)
        self._keep_enough(rows, valid)

    def _keep_enough(self, rows: TrainingRows, valid: TrainingRows | None) -> None:
        """Reduce the code to the units that are enough, where ``n_components`` asks for that."""
        if is_selected_by_fit(self.n_components):
            which, what = (rows, "training") if valid is None else (valid, "validation")
            mean, widths = self._mean_on(rows.device), self._widths_on(rows.device)
            self._keep(smallest_sufficient(self.n_components, self.module_, which, what, mean, widths))

    def _new_moments(self, module: Autoencoder) -> CodeMoments:
        free = self._architecture.rotation_invariant
        return CodeMoments(module.n_components, rotation_invariant=free, ordered=module.ordered)

    def _mean_on(self, device: torch.device) -> Tensor:
        """Return the mean in the network's coordinates."""
        return torch.from_numpy(self._scaling.transform_point(self.mean_)).to(device, torch.float32)

    def _widths_on(self, device: torch.device) -> Tensor | None:
        return self._scaling.column_weights_like(self._mean_on(device))

    def _net_for_passes(self, n_rows: int) -> AutoencoderNet:
        """Return the net that ``partial_fit`` goes on with; one that ``fit`` made keeps weights by other rules."""
        if self.net_.keep_best is None:
            return self.net_
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        return self._net(deepcopy(self.module_), n_rows, seed, max_epochs=1, train_split=None)

    def _publish(self, module: Autoencoder, rows: TrainingRows, *, set_code_map: bool) -> None:
        """Set the order and axes of the code where asked, and what is told of the trained network."""
        add_moments(self._moments, module, rows, self._mean_on(rows.device), self._widths_on(rows.device))
        module64 = in_float64(module)
        if set_code_map:
            canonicalize_(module64, self._moments, self._scaling.scale, self._scaling.column_weights)
            module.code_map.load_state_dict(module64.code_map.state_dict())
        else:
            module64.code_map.load_state_dict(self._fitted_model.module64.code_map.state_dict())
        self._tell(module, module64)

    def __copy__(self) -> Self:
        shared = type(self).__new__(type(self))
        shared.__dict__.update(self.__dict__)
        return shared

    def __getstate__(self) -> dict[str, Any]:
        return pack(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = unpack(state)
        weights, code_map, history = (attributes.pop(name, None) for name in ("_weights", "_code_map", "_history"))
        super().__setstate__(attributes)
        if weights is None:
            return
        with one_thread_after_fork():
            module, module64 = restored_modules(self._architecture, weights, code_map)
            self.module_ = module.to(find_device_or_cpu(self.device))
            self._set_fitted_model(module, module64)
            self.net_ = self._net(module, self._moments.n_samples, 0, max_epochs=1, train_split=None)
        self.net_.history.extend({**epoch, "batches": []} for epoch in history)


@contextmanager
def _unchanged_on_failure(estimator: BaseEstimator) -> Iterator[None]:
    """Give the estimator its attributes back if what follows fails."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
