"""How far the training of this process is: layers of the TEST phase cannot ask Caffe."""

iterations = 0  # forwards of loss layers in the TRAIN phase


def tick():
    global iterations
    iterations += 1
