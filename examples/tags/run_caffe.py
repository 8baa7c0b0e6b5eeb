"""The probabilities that a deploy net gives: by Caffe itself."""

import caffe


def probabilities(spec, values):
    (data,), (output,) = spec["inputs"], spec["outputs"]
    net = caffe.Net(spec["net"], caffe.TEST, weights=spec["weights"])
    net.blobs[data].data[...] = values
    return net.forward()[output].ravel()
