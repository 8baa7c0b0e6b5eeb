"""caffe-losses gradcheck: are a net's gradients right?"""

from .. import gradcheck
from .arguments import add_gpu, input_file, positive, use_gpu


def add_parser(commands):
    parser = commands.add_parser(
        "gradcheck",
        help="check a net's gradients, layer by layer",
        description="Compare each layer's gradient with central differences in real Caffe. Exit 0: all right; "
        "1: one is wrong; 2: the net or an argument is.",
    )
    parser.add_argument("net", type=input_file, help="prototxt of the net; Input blobs are filled at random")
    parser.add_argument("--layer", metavar="NAME", help="only this layer")
    parser.add_argument("--bottom", metavar="K", type=int, help="only the bottom K of each layer, from 0")
    parser.add_argument("--elements", metavar="N", type=positive, default=100, help="at most N of a blob (100)")
    parser.add_argument("--phase", choices=["TRAIN", "TEST"], default="TRAIN")
    add_gpu(parser)
    parser.set_defaults(run=run)


def run(options):
    use_gpu(options)
    checked = gradcheck.check_net(
        options.net, layer=options.layer, bottom=options.bottom, elements=options.elements, phase=options.phase
    )
    if not checked:
        raise ValueError(f"{options.net} has no layer to check")
    for layer, elements in checked.items():
        print("\n".join(gradcheck.report(layer, elements)))
    return int(not all(element.right for elements in checked.values() for element in elements))
