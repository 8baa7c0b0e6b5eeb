"""What a type checker has to accept, and to refuse. `make lint` reads this: an ignore without need is an error."""

import numpy as np

import caffe_losses
from caffe_losses import losses
from caffe_losses.gradcheck import check_function
from caffe_losses.metrics import MultiLabelMetrics

scores = np.zeros((2, 3))
loss, gradient = caffe_losses.asymmetric_loss(scores, scores, clip=0.1)
number: float = loss
array: np.ndarray = gradient
caffe_losses.MultiLabelSoftmaxLoss(label_scale="SUM")(scores, [[1, 0, 0], [0, 1, 0]])
caffe_losses.binary_cross_entropy_loss(probabilities=scores, labels=scores, class_weight=[1, 2, 3])
caffe_losses.multi_label_softmax_loss(scores, scores, None, 1)  # type: ignore[call-arg]
caffe_losses.multi_label_softmax_loss(scores, scores, label_scale="AMOUNT")  # type: ignore[arg-type]
caffe_losses.SigmoidFocalLoss(clip=0.1)  # type: ignore[call-arg]
caffe_losses.asymmetric_loss(scores, scores, ignore_label=-1, unannotated=(2, 0.5), stop_gradient=True)
caffe_losses.asymmetric_loss(scores, scores, unannotated="2")  # type: ignore[arg-type]
caffe_losses.asymmetric_loss(scores, scores, stop_gradient=0.5)  # type: ignore[arg-type]
caffe_losses.two_way_loss(scores, scores, None)
caffe_losses.two_way_loss(scores, scores, [1, 1])  # type: ignore[arg-type]
losses.SigmoidFocalLoss(clip=0.1)  # type: ignore[call-arg]
family: losses.BinaryLoss = caffe_losses.SigmoidFocalLoss(gamma=1)
in_steps = caffe_losses.MultiLabelSoftmaxLoss()
in_steps.reshape(scores.shape, scores.shape)
number = in_steps.forward(scores, scores)
array = in_steps.backward(1.0, scores)
in_steps.reshape(5, scores.shape)  # type: ignore[arg-type]
text: str = in_steps.name()
number, array = caffe_losses.functions["zlpr_loss"](scores, scores)
measured = MultiLabelMetrics(metrics=["mAP"])
measured.add(scores, [[1, 0, 0], [0, 1, 0]])
number = measured.values()["mAP"]
caffe_losses.TwoWayLoss(reduction="none")  # type: ignore[call-arg]
wrong = [element for element in check_function(lambda x: (0.0, x), scores) if not element.right]
caffe_losses.predict_labels(scores, top_k=0.5)  # type: ignore[arg-type]
