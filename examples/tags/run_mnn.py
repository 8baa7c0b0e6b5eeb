"""The probabilities that a deploy net gives: by MNN, from the file of mnnconvert."""

import MNN
import numpy as np


def probabilities(spec, values):
    (data,), (output,) = spec["inputs"], spec["outputs"]
    manager = MNN.nn.create_runtime_manager(({"backend": "CPU", "precision": "high"},))
    manager.set_hint(3, 0)  # WINOGRAD_MEMORY_LEVEL: 0 is the exact one
    path = spec["net"].replace(".prototxt", ".mnn")
    net = MNN.nn.load_module_from_file(path, [data], [output], runtime_manager=manager)
    values = MNN.expr.const(values, list(values.shape), MNN.expr.NCHW)
    result = MNN.expr.convert(net.forward(MNN.expr.convert(values, MNN.expr.NC4HW4)), MNN.expr.NCHW)
    return np.array(result.read()).ravel()  # a copy, as the memory is MNN's
