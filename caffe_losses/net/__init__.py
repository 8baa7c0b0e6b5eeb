"""A net as its prototxt describes it.

prototxt   nets and solvers: read, upgraded, written, loaded in Caffe
kinds      what a layer is: learned, a loss, a loss of ours, a metric
view       the layers of one phase: who makes and takes which blob, which layers a blob needs
heads      each loss with its scores and labels
sources    what a data layer holds: how many images, of which shape, how prepared
weights    files of weights: read, checked, copied into a net
make       new layers
"""
