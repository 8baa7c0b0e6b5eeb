"""A net as its prototxt describes it.

source_text  the text of a file: its encoding, and fields of another Caffe
prototxt     nets and solvers: read, upgraded, written, loaded in Caffe
reasons      why a process with Caffe in it ended
trial        a net loaded and run in a process of its own
published    losses for several labels that others have published
kinds        what a layer is: learned, a loss, a loss of ours, a metric
view         the layers of one phase: who makes and takes which blob, which layers a blob needs
bounds       between which numbers a blob lies, whatever is learned
heads        each loss with its scores and labels
testing      the TEST phase of a trained net: the heads there, and data that are those of tests
sources      what a data layer says: its files, the shape of its images, how they are prepared
contents     what is in these files: how many records, in which order, of which shape
conditions   what has to hold in each phase of any net
weights      files of weights: read, checked, copied into a net
make         new layers
"""
