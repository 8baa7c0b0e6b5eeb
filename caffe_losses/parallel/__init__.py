"""Training on one process, on several, and on several machines. It takes Python layers, which `caffe train` refuses.

    caffe-losses train --solver solver.prototxt
    mpirun -n 4 caffe-losses train --solver solver.prototxt --snapshot net_iter_1000.solverstate

The training is data-parallel and synchronous (Goyal et al., 2017, arXiv 1706.02677). Each rank computes the gradient
of its own batch. The ranks average the gradients, and all make the same update. So N ranks with a batch of B are one
process with a batch of N B.

launch.py     starts a training, on the processes that there are
comm.py       the processes, and what they say to one another
trainer.py    the training of one rank
solver.py     the solver of a rank, and its learning rate
reduce.py     where gradients are averaged
devices.py    GPUs
snapshots.py  snapshots that are whole
drafts.py     where they are written, and the lock on their name
keep.py       which of them are kept
resume.py     going on from one, with the data where they were
faults.py     how a training ends before its time
stalls.py     ranks that stand still
lines.py      what a training says itself

Normalizers: FULL, BATCH_SIZE and NONE are the same on each rank, so the mean over the ranks is the loss of the whole
batch (NONE: divided by N). With ignored labels, VALID counts differ. Then each of our losses divides by the mean count
over the ranks, which takes one Allreduce of a number. So the loss is again that of the whole batch. Caffe's own losses
divide by the count of their rank. Then an image weighs more on a rank with few valid labels.
"""
