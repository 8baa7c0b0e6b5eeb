"""The probabilities that a deploy net gives: by OpenCV before version 5."""

import cv2


def probabilities(spec, values):
    (data,), (output,) = spec["inputs"], spec["outputs"]
    net = cv2.dnn.readNetFromCaffe(spec["net"], spec["weights"])
    net.enableWinograd(False)
    net.setInput(values, data)
    return net.forward(output).ravel()
