"""AutoencoderTransformer, an autoencoder with the interface of PCA."""

import os
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn

from sklearn_ae._data.out_of_core import chunks_with_rows, is_one_shot
from sklearn_ae._estimator.configuration import PARAMETER_CONSTRAINTS, with_hint
from sklearn_ae._estimator.fitted import FittedAutoencoder
from sklearn_ae._estimator.fitting import finish, plan_fit, plan_pass, run_pass, train
from sklearn_ae._estimator.validation import warn_about_target
from sklearn_ae._training.net import AutoencoderNet
from sklearn_ae._training.sklearn_callbacks import CallbackContext
from sklearn_ae._utils.compat import CallbackSupportMixin, InvalidParameterError, fit_context
from sklearn_ae._utils.threads import one_thread_after_fork
from sklearn_ae.codes import Code
from sklearn_ae.losses import Loss

__all__ = ["AutoencoderTransformer"]


class AutoencoderTransformer(CallbackSupportMixin, FittedAutoencoder):
    """Autoencoder that starts as PCA, with PCA's interface.

    An encoder to `n_components` numbers and a decoder back to the data are trained to reconstruct the data. Each is an
    affine map plus a multilayer perceptron::

        encode(x) = code(A x + a + f(x))
        decode(h) = output(W h + b + g(h))

    Before the first step the reconstruction is that of ``PCA(n_components)``, and training keeps the best weights seen,
    the initial ones included. Like PCA, the fit is equivariant to shifting and rescaling the whole data set: data is
    centred and divided by one number, its overall root mean square. Scale individual columns yourself if needed.

    Most fits need `n_components`, `random_state` and little else. The parameters are in seven groups, in this order:

    ============  =======================================================  =============================================
    Group         Parameters                                               When to change them
    ============  =======================================================  =============================================
    latent code   `n_components`, `ordered`, `whiten`, `code`,             Always set `n_components`; the others for
                  `code_dropout`                                           sparse, variational, ordered or scaled codes.
    network       `hidden_layer_sizes`, `activation`,                      To trade accuracy against speed or
                  `output_activation`, `module`, `init`                    overfitting; for images.
    objective     `loss`, `penalty`, `corruption`, `missing`               For counts, binaries, outliers, NaNs, noise.
    optimisation  `optimizer`, `lr`, `lr_schedule`, `weight_decay`,        If training is slow, diverges or overfits.
                  `batch_size`, `precision`
    stopping      `max_epochs`, `early_stopping`, `validation_fraction`,   For shorter or longer fits.
                  `n_iter_no_change`, `tol`
    continuing    `warm_start`, `checkpoint`, `resume`                     For long fits, and fits that follow others.
    running       `device`, `distributed`, `callbacks`, `random_state`,    For GPUs, several processes, reproducible
                  `verbose`                                                results and progress.
    ============  =======================================================  =============================================

    Parameters
    ----------
    n_components : int, float, "auto" or None, default=2
        Number of components of the latent code. The default of 2 is for scatter plots; for other uses set it: to an
        int of at least 1, to 0.9, to ``"auto"``, or by a grid search if a downstream model uses the codes. A float in
        (0, 1) is an R²: the fewest components that reach it on the validation set are kept, in the spirit of PCA's;
        ``"auto"`` keeps the fewest whose R² there is within one standard error of the best [9]_. Both train one ordered
        code of ``min(n_samples, n_features, 128)`` components and keep the first ``n_components_`` of them. Without
        `early_stopping` they use the R² on the training set. None is ``min(n_samples, n_features)``, as for PCA.
    ordered : bool, default=False
        Whether every prefix of the code is trained to be a code: in training, all components after a randomly chosen
        index are zeroed before decoding (nested dropout [8]_). Set it to get the models of all smaller sizes from one
        fit, see :meth:`truncate` and :meth:`reconstruction_curve`, at some cost in R² for each. A linear ordered
        autoencoder has PCA's axes, not only their span.
    whiten : bool, default=False
        Whether :meth:`transform` divides the components of the code by their standard deviations on the training data,
        as ``PCA(whiten=True)``; :meth:`inverse_transform` undoes it, and no other result changes. Set it if the next
        step expects equal scales. Not for codes that fix the scale: ``"sigmoid"``, ``"tanh"`` and ``"gaussian"``.
    code : {"identity", "relu", "sigmoid", "tanh", "top_k", "winner_take_all", "gaussian"} or Code, default="identity"
        The latent activation: the code is the encoder output after it. A class of :mod:`sklearn_ae.codes`, or the name
        of one with its defaults. The identity has the smallest reconstruction error on most data; change it for sparse
        codes or a generative model. :class:`~sklearn_ae.codes.TopK` keeps the k largest components of each sample,
        ``WinnerTakeAll`` the largest samples of each component, and :class:`~sklearn_ae.codes.Gaussian` makes a
        variational autoencoder, as does its other name ``"variational"``.
    code_dropout : float, default=0.0
        Dropout rate on the latent code in [0, 1), in training only. Raise it for components that are easier to
        interpret, at a cost in R². It drops components of the code alone, never hidden units: against overfitting use
        `weight_decay`, `corruption` or smaller `hidden_layer_sizes` instead.
    hidden_layer_sizes : int, sequence of int or "auto", default="auto"
        Widths of the encoder's hidden layers, from the data to the code; the decoder mirrors them: ``(64, 32)`` is an
        autoencoder with layers of 64, 32, `n_components`, 32 and 64. ``"auto"`` is ``(128,)``, and ``(256,)`` from
        10,000 samples on. Use smaller layers against overfitting, larger ones for large data, ``()`` for none.
    activation : {"relu", "silu", "gelu", "elu", "leaky_relu", "tanh", "sigmoid", "identity"} or type of \
            torch.nn.Module, default="silu"
        Nonlinearity of the hidden layers; change it to reproduce another network. A class is called without arguments.
    output_activation : {"auto", "identity", "clip", "sigmoid", "softplus", "scaled_softmax", "softmax", \
            "by_columns"}, default="auto"
        ``"auto"`` chooses by the loss: for squared, absolute and Huber's error ``"clip"`` if at least three tenths of
        the entries repeat the least or greatest value of their column, as in images, unless the code is ``TopK`` or
        ``WinnerTakeAll``, whose features would suffer; otherwise ``"identity"``. ``"clip"`` limits outputs to each
        column's range in the training data; set ``"identity"`` instead to interpret the components of images.
        ``"sigmoid"`` is for data in [0, 1], which the network then works on without scaling; ``"log_loss"`` requires
        it, as ``"poisson"`` requires ``"softplus"``, ``"multinomial"`` ``"scaled_softmax"``, ``"cross_entropy"``
        ``"softmax"`` and ``Mixed`` ``"by_columns"``.
    module : torch.nn.Module, or class or callable that returns one, default=None
        A custom network with ``encode`` and ``decode``, in place of the one that `hidden_layer_sizes` and `activation`
        describe. Set it for images, :class:`~sklearn_ae.networks.ConvAutoencoder`, for tied weights,
        :class:`~sklearn_ae.networks.TiedAutoencoder`, or for layers that those two parameters cannot describe. An
        instance is copied, never changed; anything else is called with those of ``n_features``, ``n_components`` and
        ``n_preactivations`` that its signature names.
    init : {"auto", "pca", "transpose", "random"}, default="auto"
        ``"pca"``: principal axes in A and W, f and g zero. ``"transpose"``: random unit vectors in W, A their
        transpose, f and g zero [5]_. ``"random"``: He's scheme in every layer [4]_. ``"auto"`` is ``"pca"`` for the
        identity and the Gaussian code and ``"transpose"`` for others; change it only to compare initializations. A
        `module` without an affine path keeps its own weights.
    loss : {"squared_error", "absolute_error", "huber", "log_loss", "poisson", "multinomial", "cross_entropy"} or \
            Loss, default="squared_error"
        The loss to minimise, averaged over entries; a class of :mod:`sklearn_ae.losses`. Choose it by the data:
        ``"absolute_error"`` or ``"huber"`` if single entries are outliers, ``"log_loss"``, the cross-entropy in nats,
        for data in [0, 1], ``"poisson"`` for counts, ``"multinomial"`` for counts whose total only says how much was
        sampled, and ``"cross_entropy"`` for samples that sum to 1. :class:`~sklearn_ae.losses.Mixed` has different
        losses for different columns.
    penalty : {"l1", "kl_sparsity", "contractive", "orthogonal"}, Penalty or list of these, default=None
        Penalty added to the loss, for sparse codes, codes that vary little with the input, or components with different
        directions; a class of :mod:`sklearn_ae.penalties`. The penalties of a list are summed.
    corruption : {"auto", "masking", "gaussian_noise", "salt_and_pepper"}, float, Corruption or None, default="auto"
        Noise added to the input in training, while the target stays clean: the denoising autoencoder [7]_. Set it to
        denoise data, or against overfitting. A class of :mod:`sklearn_ae.corruptions`; a float in [0, 1) is the rate of
        masking, None is no corruption. ``"auto"`` is none with ``missing="error"``, and masking at a rate of 0.3 with
        ``missing="mask"``, which :meth:`impute` needs: it teaches the network to predict entries that it does not see.
    missing : {"error", "mask"}, default="error"
        How NaNs are handled; ``"error"`` raises a ValueError. Set ``"mask"`` for data with missing entries: each is
        replaced by its column's mean, and loss, scores and errors cover observed entries alone; see :meth:`impute`. A
        column without an observed entry has the mean 0. Masking, which `corruption` then is by default, sets entries to
        the mean too, as if they were missing.
    optimizer : {"adamw", "adam", "sgd"} or type of torch.optim.Optimizer, default="adamw"
        ``"sgd"`` has a Nesterov momentum of 0.9. With a name, the gradient of a step is limited to a norm of 1, for
        data with heavy tails. A class is called with the weights, `lr` (set it too) and, unless 0, `weight_decay`.
    lr : float or "auto", default="auto"
        Peak learning rate, above 0. Lower it if training diverges or never improves on the initialization. ``"auto"``
        is 0.01, or 0.0015 for the constant schedule, a warm start and ``partial_fit``. For ``"adamw"`` and ``"adam"``
        it is the rate of a layer with 64 inputs. Other rates fall with the number of inputs [11]_, in proportion to its
        power -3/4, so that one value suits narrow and wide layers; at most 16 times `lr`, which is the rate of biases
        too.
    lr_schedule : {"linear", "cosine", "constant"}, default="linear"
        ``"linear"`` raises the rate from zero over the first fifth of the steps and lowers it to zero at `max_epochs`;
        ``"cosine"`` lowers it along half a cosine instead. ``"constant"`` suits training of unknown length, which
        `n_iter_no_change` ends. With each, a moving average of the weights, which averages out noise, is kept.
    weight_decay : float, default=0.0
        Weight decay, at least 0; raise it against overfitting. With ``"adamw"`` it is decoupled from the gradient.
    batch_size : "auto" or int, default="auto"
        Number of samples in a training step. ``"auto"`` is the largest power of two up to a tenth of the training
        samples, from 32 to 256. Raise it for wide layers, where larger batches are faster.
    precision : {"float32", "bfloat16"}, default="float32"
        Precision of the products in training. ``"bfloat16"`` rounds what the network's layers multiply to that,
        keeps weights, sums, code, loss and validation in float32, and ends at nearly the same R² [10]_. Set it for
        wide layers, on GPUs and CPUs that multiply bfloat16; on others it is slower.
    max_epochs : int or "auto", default="auto"
        Number of epochs, the length of the linear and cosine schedules, or the maximum of the constant one. Lower it
        for faster fits, raise it if the last epochs still improve; 0 keeps the initialization: if that is PCA, PCA of
        all samples. ``"auto"`` takes as many as make about 800 steps, and more from 2,500 samples on, in proportion to
        the square root of their number: 4,000 for 62,500. For the constant schedule it is 200.
    early_stopping : bool, default=True
        Whether a validation set, held out from X or given to ``fit`` as `X_val`, chooses the best epoch and when to
        stop. Set it to False to train on all samples; the training loss then chooses both.
    validation_fraction : float, default=0.1
        Fraction of the samples held out with `early_stopping`, in (0, 1), rounded up to whole samples. Raise it if
        the validation set is too small to rank epochs. Ignored if ``fit`` is given `X_val`.
    n_iter_no_change : int or "auto", default="auto"
        Stop after this number of epochs without an improvement of the objective by more than `tol`. Epochs in which a
        code is still annealed do not count. ``"auto"`` is 20 for the constant schedule; the others then run to the end.
    tol : float, default=1e-4
        See `n_iter_no_change`; relative to the best objective so far. Raise it to stop earlier.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights, centre and scale of the previous fit, if that had the same sizes,
        code, loss, dropout and output activation; otherwise it starts from new weights, with a warning. Set it to fit
        again to similar data, or with another learning rate.
    checkpoint : str or os.PathLike, default=None
        File to which ``fit`` writes a checkpoint after each epoch, atomically; it remains after the fit. Set it for
        long fits that may be interrupted. A file of other data or other parameters, a damaged one, or one that is not a
        checkpoint raises a ValueError and is never overwritten. Not for several processes.
    resume : bool, default=False
        Whether ``fit`` continues from `checkpoint` if that exists, with results bitwise identical to those of an
        uninterrupted fit: on the same machine with the same number of threads, and with the same data and parameters.
        If `random_state` is not an int, the stored seed is used. The state of custom `callbacks` is not kept.
    device : str or torch.device, default="cpu"
        Device to train and transform on. ``"auto"`` is CUDA if torch sees it, otherwise the CPU.
    distributed : bool, default=False
        Whether ``fit`` trains in all processes that ``torchrun`` or ``accelerate launch`` started, on one machine or
        several. Each must call it with the same X and parameters; seed and split are those of process 0. Every batch
        of `batch_size` samples is divided among them, and one step is taken with the gradients of all: without noise
        and missing entries the result is that of one process, apart from rounding, and the same in all. Each draws
        its own noise, and statistics over a batch, as of ``KLSparsity`` or ``WinnerTakeAll``, are those of its part.
        Without a launcher it is an ordinary fit. Requires Hugging Face Accelerate, the extra ``distributed``.
        All other methods, ``partial_fit`` included, work in their own process alone.
    callbacks : skorch callback or sequence of these, default=None
        Instances or (name, instance) pairs that see every epoch and step of `net_`, to log or steer training. They are
        used directly, not copied.
    random_state : int, RandomState instance or None, default=None
        Seed of the validation split, the initialization, the order of samples, dropout and noise. Set it to an int for
        reproducible fits: the same bits each time on the same machine with the same number of threads. The global
        generator of torch is never used, except by custom modules and layers that draw from it, such as
        ``torch.nn.Dropout``: it is seeded meanwhile, and then restored.
    verbose : int, default=0
        1 shows a progress bar with epoch, loss, validation R² and time left; 0 prints nothing.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The decoder's Jacobian at the mean code of the training set, before the output activation; one row per
        component. For an affine decoder that is its columns: the decoded unit vector minus the decoded zero [6]_. For
        the identity code without dropout, `ordered` or a penalty other than ``Contractive`` the rows are orthonormal,
        as PCA's (about so after several calls of ``partial_fit``); components that the decoder ignores are rows of
        zeros. This, `mean_` and the explained variances are computed in float64, and float32 if X is.
    mean_ : ndarray of shape (n_features,)
        Mean of each column of the training data.
    explained_variance_ : ndarray of shape (n_components,)
        Variance of each component of the code, before `whiten`, times the squared length of its row of `components_`,
        in squared units of the data, in decreasing order unless `ordered` or after several calls of ``partial_fit``.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Training R² apportioned among components in proportion to `explained_variance_`; PCA's for a linear
        autoencoder. Otherwise its cumulative sums are not, as PCA's are, the R² of fits with fewer components, which
        reach more: to choose a size use `ordered`, or `n_components` as a float or ``"auto"``. With `ordered` the gain
        in R² from each component given those before it, negative if it makes the reconstruction worse.
    n_components_ : int
        Number of components; the selected one if `n_components` is not an integer.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has names that are all strings.
    n_iter_ : int
        Number of epochs trained; for ``partial_fit`` the number of calls, after ``fit`` added to its epochs.
    best_epoch_ : int
        The epoch whose weights were kept, 0 for the initialization: if that is PCA, it is then computed again on all
        samples, those held out included.
    loss_curve_ : ndarray of shape (`n_iter_`,)
        Mean training loss of each epoch, per entry, in the network's coordinates.
    validation_scores_ : ndarray of shape (`n_iter_` + 1,) or None
        R² on the validation set without noise: before training, then after each epoch. None without `early_stopping`
        and after ``partial_fit``.
    module_ : torch.nn.Module
        The network, in centred and scaled coordinates.
    net_ : skorch.NeuralNet
        The skorch net that trained it; its ``history`` has the epochs.

    See Also
    --------
    sklearn.decomposition.PCA : The best linear code.
    sklearn.decomposition.NMF : A linear code without negative numbers.
    sklearn_ae.model_selection.reconstruction_score : One scorer for all of these.

    Notes
    -----
    Never worse than PCA: for the identity code, not `ordered`, initialized as PCA (the default), the squared error,
    identity or clip output and no dropout, penalty or corruption (by default none with ``missing="error"``), the R² on
    the validation set is at least that of PCA fitted on the other training samples. If no epoch improves on it, the
    result is ``PCA(n_components)`` of all samples, apart from clipping. With other objectives PCA is only a good
    initialization; there is no guarantee. With ``hidden_layer_sizes=()``, the identity code and
    ``output_activation="identity"`` the optimum *is* PCA [2]_: no autoencoder with a linear decoder has a smaller
    squared error [1]_. The gain comes from the hidden layers [3]_, and on images partly from the clipping.

    After training the components of the code are ordered, without changing any reconstruction. The identity
    code, unless something depends on its axes, is rotated so that components are uncorrelated and `components_`
    orthonormal; other codes are ordered by explained variance. With `ordered` the order is that of training: an
    identity code only gets rows of `components_` of length 1. If signs are free and the initialization is PCA, each
    component correlates positively with the principal axis that it follows most: PCA's signs for a linear autoencoder.

    X may be a torch tensor on any device: results are then tensors there. It may be a sparse matrix or array, of which
    only batches are made dense, or data that need not fit into memory: a ``numpy.memmap``, a dataset of h5py, an array
    of Zarr, a dask array or data frame, a ``pyarrow.dataset.Dataset`` of numbers, a list of arrays or data frames, or
    an iterable that yields the same chunks of rows each time that it is iterated. Such a source is loaded if its
    float32 copy is within scikit-learn's ``working_memory``, 1 GiB by default. Otherwise it is read block by block,
    several times before the first epoch and once in each; an epoch takes blocks in random order and shuffles the rows
    of a few of them at a time.

    For a dask array or data frame :meth:`transform`, :meth:`inverse_transform`, :meth:`score_samples` and
    :meth:`reconstruction_error` return a lazy one, block by block, with the estimator as fitted at that time;
    :meth:`score` sums over blocks.

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
    .. [11] Yang, G. et al. (2022). Tensor programs V: tuning large neural networks via zero-shot hyperparameter
       transfer. arXiv:2203.03466.

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
    n_iter_: int
    best_epoch_: int
    loss_curve_: np.ndarray
    validation_scores_: np.ndarray | None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = PARAMETER_CONSTRAINTS

    def __init__(
        self,
        n_components: int | float | str | None = 2,
        *,
        ordered: bool = False,
        whiten: bool = False,
        code: str | Code = "identity",
        code_dropout: float = 0.0,
        hidden_layer_sizes: Sequence[int] | int | str = "auto",
        activation: str | type[nn.Module] = "silu",
        output_activation: str = "auto",
        module: Any = None,
        init: str = "auto",
        loss: str | Loss = "squared_error",
        penalty: Any = None,
        corruption: Any = "auto",
        missing: str = "error",
        optimizer: str | type[torch.optim.Optimizer] = "adamw",
        lr: float | str = "auto",
        lr_schedule: str = "linear",
        weight_decay: float = 0.0,
        batch_size: str | int = "auto",
        precision: str = "float32",
        max_epochs: int | str = "auto",
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | str = "auto",
        tol: float = 1e-4,
        warm_start: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        device: str | torch.device = "cpu",
        distributed: bool = False,
        callbacks: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.ordered = ordered
        self.whiten = whiten
        self.code = code
        self.code_dropout = code_dropout
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.output_activation = output_activation
        self.module = module
        self.init = init
        self.loss = loss
        self.penalty = penalty
        self.corruption = corruption
        self.missing = missing
        self.optimizer = optimizer
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.precision = precision
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.resume = resume
        self.device = device
        self.distributed = distributed
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def _validate_params(self) -> None:
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            raise InvalidParameterError(with_hint(str(error), self)) from None

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, *, X_val: Any = None) -> Self:
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : array-like, sparse matrix or source of shape (n_samples, n_features)
            At least two samples of finite numbers, or NaN with ``missing="mask"``. Not modified, and not copied except
            for one float32 tensor. For sources see the notes of the class.
        y : Ignored
            Present for API consistency by convention.
        X_val : array-like, sparse matrix or source of shape (n_val, n_features), default=None
            Validation samples, in place of a random part of X: then all of X trains, and `validation_fraction` is
            ignored. For samples that are related, such as windows that overlap or several rows of one patient: see the
            guide on the model. Mean, scale and ranges of columns are those of X alone. In a Pipeline
            ``transform_input=["X_val"]`` transforms it as X; ``fit_transform`` takes it too. Requires `early_stopping`.

        Returns
        -------
        self : AutoencoderTransformer
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, X_val or a combination of parameters cannot be used, if `checkpoint` is damaged, belongs to another
            fit or is not a checkpoint, or if the loss stops being finite twice. An earlier fit then stays unchanged.
        OSError
            If `checkpoint` cannot be written, as on a full disk. Training then ends early, and the estimator is fitted,
            with the best weights so far.

        Warns
        -----
        ConvergenceWarning
            If `max_epochs` ended training while it still improved: the best epoch is among the last tenth, and
            `lr_schedule` is ``"constant"``. If no epoch improved on the initialization; the message names what to
            try, and whether the result is PCA.
        UserWarning
            If Ctrl-C ended training; the best weights so far are kept. If no number of components reaches the R² given
            as `n_components`; all are kept. If the ranges of two columns of dense data differ by a factor of
            1,000 or more, and both are centred and scaled. If an identity code has more components than X has features,
            and no noise or penalty keeps it from copying X. If `hidden_layer_sizes` narrow and widen again. If y has
            the shape of X, as if it were a target.
        """
        context = CallbackContext.of(self, X, y)
        with one_thread_after_fork():
            plan = plan_fit(self, X, X_val)
            warn_about_target(X, y, plan.rows.shape)
            self._set_fitted_attributes(finish(plan, train(plan, context)))
        if plan.checkpoint is not None and plan.checkpoint.failure is not None:
            raise plan.checkpoint.failure
        if context is not None:
            context.end()
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one pass over X, continuing from the present weights.

        The first call, unless ``fit`` came before it, starts as PCA of its samples and fixes ``mean_``, the scale and
        the order and axes of the code, so that codes stay comparable from call to call; if `n_components` is not an
        integer, they also select the number of components. The weights are those after the last step: there is no
        validation set and no averaging. Between calls, parameters of training such as `lr` may change, which restarts
        the optimizer; those of the model, such as `n_components` or `loss`, may not.

        Parameters
        ----------
        X : array-like, sparse matrix, source or iterator of shape (n_samples, n_features)
            Samples of finite numbers, or NaN with ``missing="mask"``; at least two in the first call. An iterator, such
            as a generator, yields chunks of samples, and each chunk is a separate call.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        self : AutoencoderTransformer
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a combination of parameters cannot be used, if a parameter of the model changed after an earlier
            call, or if training diverges. The estimator then stays unchanged, apart from earlier chunks of an iterator.
        """
        if is_one_shot(X):
            for chunk in chunks_with_rows(X):
                self.partial_fit(chunk)
            if not hasattr(self, "module_"):
                raise ValueError(
                    "X is an iterator that yields no samples; it must yield arrays of shape (n_rows, n_features)."
                )
            return self
        with one_thread_after_fork():
            plan = plan_pass(self, X)
            warn_about_target(X, y, plan.rows.shape)
            self._set_fitted_attributes(run_pass(plan))
        return self
