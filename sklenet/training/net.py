"""The skorch net that the estimator trains."""

from skorch import NeuralNet

from sklenet.training.batches import Batches


class TrainingNet(NeuralNet):
    """A skorch net on batches of weighted samples.

    It differs from ``skorch.NeuralNet`` in its iterators, which index whole tensors, and
    in that the criterion gives one loss per sample.
    """

    def __init__(self, module, *, iterator_train=Batches, iterator_valid=Batches, **kwargs):
        super().__init__(
            module,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            **kwargs,
        )

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the mean loss of a batch."""
        return self.criterion_(y_pred, y_true).mean()
