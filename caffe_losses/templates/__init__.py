"""Templates: train_val, deploy and solvers of well-known nets with our losses, as in prototxt/.

    caffe-losses template resnet50 --loss softmax --num-classes 17000 --label-format INDEX -o folder
    caffe-losses template resnet50 --loss softmax --lists folder_that_caffe-losses_split_made -o folder

The nets are written with Caffe's NetSpec, from their papers (see `nets`), the solvers with the recipe of
Mahajan et al., 2018 (see `solvers`).
"""

from .files import template
from .known import DATA, LABEL_FORMATS, LOSSES, METRICS, TEMPLATES, Template
from .summary import summary
from .training import train_val

__all__ = ["DATA", "LABEL_FORMATS", "LOSSES", "METRICS", "TEMPLATES", "Template", "summary", "template", "train_val"]
