"""The layer that reads images with several labels."""

import caffe

from ..data import Batches
from ..params import parse


class MultiLabelImageData(caffe.Layer):
    """Images and their labels from a list, decoded and augmented in other processes ahead of need.

    top  data, N x channels x height x width: (value - mean) * scale of values in 0..255, channels in the
         order of `color`; labels, N x C (DENSE: 1 for each label of the image, or the list's own value,
         else 0) or N x K (INDEX: class indices padded with -1); optionally one weight an image, 1 where the list
         has none. No bottoms.

    The options are `caffe_losses.data.OPTIONS`; the forms of the list are in `caffe_losses.data.lists`.

    In TRAIN, with several solvers, each has other images: see `caffe_losses.data.order.Order`. In TEST, every
    solver reads the whole list, wrapping round at its end. Order, crops and mirrors are decided by `seed` alone.

    An image that is missing or broken ends the run in a line with its name, or with broken SKIP is named
    in the log and another of its batch is taken for it. ValueError for a list or option that is wrong.
    """

    shards = True

    def setup(self, bottom, top):
        train = self.phase == caffe.TRAIN
        shard = (caffe.solver_rank(), caffe.solver_count()) if train else (0, 1)
        self.batches = Batches(train, *shard, **parse(Batches.owner, self.param_str))
        if len(bottom) or len(top) not in (2, 3):
            raise ValueError(
                f"{Batches.owner}: expected no bottom and the tops data, labels and, optionally, weights, "
                f"got {len(bottom)} and {len(top)}"
            )
        caffe.log(f"{Batches.owner}: {len(self.batches.images)} images, {self.batches.num_classes} classes")

    def reshape(self, bottom, top):
        n = self.batches.batch_size
        for blob, shape in zip((top[k] for k in range(len(top))), (self.batches.shape, (self.batches.width,), ())):
            blob.reshape(n, *shape)

    def forward(self, bottom, top):
        self.batches.next(*(top[k].data for k in range(len(top))))

    def backward(self, top, propagate_down, bottom):
        pass
