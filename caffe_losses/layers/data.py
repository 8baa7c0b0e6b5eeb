"""The layer that reads images with several labels."""

import caffe

from ..data import Batches
from ..net.passes import command_line
from ..net.states import next_image
from ..options import parse
from .loud import loud


@loud
class MultiLabelImageData(caffe.Layer):
    """Images and their labels from a list. Other processes decode and augment them ahead of need.

    bottom   none
    top      data: N x channels x height x width, (value - mean) * scale of values in 0..255. Channels are in the order
             of `color`
             labels: DENSE, N x C: 1 for each label of the image, or the value in the list, and 0 for other classes.
             INDEX, N x K: class indices, padded with -1
             weights, optional: one for each image, 1 if the list has none
    options  `caffe_losses.data.OPTIONS`. The forms of the list are in `caffe_losses.data.lists`

    TRAIN: of several solvers, each has other images (see `caffe_losses.data.order.Order`). TEST: every solver reads
    the whole list, starts again at its end, and augments no image. `seed` alone decides the order and what is random.

    An image that is missing or broken ends the run with its name. With broken SKIP, the log names it, and another
    image of the batch takes its place. ValueError for a list or an option that is wrong.
    """

    shards = True

    def setup(self, bottom, top):
        train = self.phase == caffe.TRAIN
        shard = {"rank": caffe.solver_rank(), "ranks": caffe.solver_count()} if train else {"rank": 0, "ranks": 1}
        self.batches = Batches(train, **shard, **parse(Batches.owner, self.param_str))
        if len(bottom) or len(top) not in (2, 3):
            raise ValueError(
                f"{Batches.owner}: expected no bottom and the tops data, labels and, optionally, weights, "
                f"got {len(bottom)} and {len(top)}"
            )
        images = self.batches.images
        caffe.log(f"{Batches.owner}: {len(images)} images, {self.batches.num_classes} classes ({images.layout})")
        if train:
            self.start_at(next_image(command_line(), self.batches.batch_size))

    def start_at(self, image):
        """Go on at an image, counted over all epochs and solvers, as a training does that goes on from a snapshot."""
        if image:
            epoch, place = self.batches.start_at(image)
            caffe.log(f"{Batches.owner}: goes on at image {place} of epoch {epoch}")

    def reshape(self, bottom, top):
        n = self.batches.batch_size
        for blob, shape in zip((top[k] for k in range(len(top))), (self.batches.shape, (self.batches.width,), ())):
            blob.reshape(n, *shape)

    def forward(self, bottom, top):
        self.batches.next(*(top[k].data for k in range(len(top))))

    def backward(self, top, propagate_down, bottom):
        pass
