"""The probabilities that a deploy net gives: by onnxruntime, from the file of caffe2onnx."""

import onnxruntime


def probabilities(spec, values):
    net = onnxruntime.InferenceSession(spec["net"].replace(".prototxt", ".onnx"))
    return net.run(None, {net.get_inputs()[0].name: values})[0].ravel()
