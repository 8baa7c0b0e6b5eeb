"""The training of one rank: its set-up, the solver's own loop, and what is called from that loop."""

import json
import signal
import sys
from collections import namedtuple

from ..losses.base import over_ranks
from ..net import weights
from ..net.iteration import WeightsRefused
from ..net.prototxt import read_solver
from ..net.states import read_state
from ..wiring import check_solver
from . import devices, faults, reduce, resume, snapshots
from . import solver as solvers
from .keep import Keep, TestOutput
from .lines import one_line, say

# What is to be trained: the options of `launch.train`
Job = namedtuple("Job", "solver weights snapshot gpu scale_lr warmup warmup_lr keep best stall_timeout")


class Refused(ValueError):
    """The set-up is wrong. All ranks know it, and rank 0 says why."""


class Trainer:
    """Trains a Job as `caffe train` does, as one rank of the communicator `comm`."""

    def __init__(self, job, comm):
        self.job, self.comm = job, comm
        self.root = comm.rank == 0
        self.param = self.solver = self.snapshots = self.data = None
        self.stop = self.hang_up = self.keep = None
        self.computing = False

    # Set-up: if one rank cannot do a step, all refuse

    def together(self, step):
        """Run a step of the set-up. If it fails on a rank, all ranks raise the error of the first such rank."""
        result = error = None
        try:
            result = step()
        except (ValueError, OSError, RuntimeError) as refusal:
            error = one_line(refusal)
        errors = self.comm.all_of(error)
        for rank, error in enumerate(errors):
            if error is not None:
                raise Refused(error if errors.count(error) == len(errors) else f"rank {rank}: {error}")
        return result

    def set_up(self):
        self.together(self.read)
        self.together(self.try_out)
        self.together(self.make_solver)
        self.blobs = reduce.learned_blobs(self.solver.net)
        snapshot = self.together(self.read_weights)
        if self.job.snapshot:
            self.restore(snapshot)
        if self.comm.size > 1:
            reduce.broadcast_weights(self.comm, self.blobs)
        self.first = self.solver.iter
        self.hook()

    def read(self):
        job = self.job
        self.param = read_solver(job.solver)
        texts = [] if job.snapshot else list(self.param.weights) if job.weights is None else [job.weights]
        self.weights = [name.strip() for text in texts for name in text.split(",")]
        solvers.check_files(self.param, self.weights if self.root else [])
        self.prefix = snapshots.final_prefix(self.param, job.solver)
        self.device = devices.device(job.gpu, self.param, self.comm)
        scale = self.comm.size if job.scale_lr else 1
        self.schedule = solvers.Schedule(self.param.base_lr * scale, warmup=job.warmup, first=job.warmup_lr)
        if self.root:
            self.snapshots = snapshots.Snapshots(self.param, self.prefix)
            if not self.snapshots.drafts.locks:
                say(f"snapshot_prefix {self.prefix}: the file system has no locks; see that no other training has it")

    def try_out(self):
        """Have a process of its own, which Caffe may end, do the first iteration on a few images."""
        if not self.root:
            return
        start = [read_state(self.job.snapshot).learned_net] if self.job.snapshot else self.weights
        setting = {"weights": start, "folders": sys.path, "gpu": self.device, "meanwhile": self.comm.at_work}
        try:
            for line in check_solver(self.param, **setting):
                say(line)
        except WeightsRefused:
            if not self.job.snapshot:  # whose reader says it better
                raise

    def make_solver(self):
        import caffe

        caffe.set_solver_count(self.comm.size)
        caffe.set_solver_rank(self.comm.rank)
        caffe.set_multiprocess(self.comm.size > 1)
        devices.use(self.device)
        prefix = self.snapshots.drafts.prefix if self.root else None
        self.solver = solvers.make(solvers.of_rank(self.param, rank=self.comm.rank, size=self.comm.size, prefix=prefix))
        if self.comm.size > 1:
            solvers.check_sharded(self.solver.net, self.comm.size)
        self.data = resume.Data(self.solver.net, self.param.iter_size * self.comm.size)
        if self.root and self.job.keep:
            best = self.job.best
            self.keep = Keep(self.job.keep, best and TestOutput(self.solver, best, self.param))

    def read_weights(self):
        """Give rank 0 the weights to start from. Returns the Snapshot to go on from; only rank 0 needs the files."""
        if not self.root:
            return None
        if self.job.snapshot:
            return resume.read(self.job.snapshot, self.solver, self.blobs, self.job.solver)
        line = weights.start([self.solver.net, *self.solver.test_nets], self.weights)
        if line:
            say(line)
        return None

    def restore(self, snapshot):
        state = self.comm.broadcast_bytes(snapshot.state if self.root else None)
        record = self.comm.broadcast_bytes(json.dumps(snapshot.record).encode() if self.root else None)
        snapshots.restore(self.solver, state)
        line = self.data.start_at(self.solver.iter, json.loads(record.decode()).get("images"))
        if line and self.root:
            say(line)

    def hook(self):
        if self.comm.size > 1:
            # kept here, as Caffe keeps no reference
            self.average = devices.gradient_mean(self.device, self.comm, solver=self.solver, blobs=self.blobs)
        self.solver.add_callback(self.start_iteration, self.gradients_ready)
        if self.comm.size > 1:
            self.solver.add_callback(*self.average)
        if self.root:
            for net in self.solver.test_nets:
                net.before_forward(self.before_test_layer)
            self.hang_up = faults.HangUp()
        else:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    # The solver calls these

    def start_iteration(self):
        self.between_iterations()
        self.solver.param.base_lr = self.schedule.base_lr(self.solver.iter)
        self.computing = True

    def gradients_ready(self):
        self.computing = False
        if self.device is not None:  # NCCL, too, would wait without a word
            self.comm.meet()

    def mean_count(self, count):
        """The mean over the ranks, in the forward passes that all make together. Tests are made by rank 0 alone."""
        return self.comm.mean(count) if self.computing else count

    def before_test_layer(self, layer):
        self.comm.at_work()
        if layer == 0:  # Caffe, too, writes a snapshot before the tests of its iteration
            self.between_iterations()

    def between_iterations(self):
        if self.root and (self.due() or (self.hang_up.taken() and self.is_new())):
            self.snapshot()
        if self.stop is not None:
            self.stop.check()

    def due(self):
        at, every = self.solver.iter, self.param.snapshot
        last = self.param.snapshot_after_train and at >= self.param.max_iter
        return self.is_new() and (last or (every > 0 and at % every == 0))

    def is_new(self):
        """Whether this iteration has no snapshot yet, and is not the one that the training began with."""
        return self.solver.iter not in (self.first, self.snapshots.iteration)

    def snapshot(self):
        import caffe

        at = self.solver.iter
        record = {"type": resume.type_of(self.solver), "images": self.data.images(at)}
        files = self.snapshots.write(self.solver, record)
        caffe.log(f"Snapshot {files.state}")
        if self.keep:
            for iteration in self.keep.add(at, files):
                caffe.log(f"Deleted the snapshot of iteration {iteration} (--keep {self.job.keep})")

    # The whole

    def run(self):
        """Train to the end. Returns the exit code."""
        try:
            self.set_up()
            with over_ranks(self.mean_count):
                code = self.solve() if self.root else self.follow()
            self.comm.meet()
            return code
        finally:
            if self.snapshots:
                self.snapshots.close()

    def solve(self):
        """The part of rank 0, which ends with the last snapshot."""
        if self.comm.size == 1:
            self.stop = faults.Stop()
        self.log_start()
        try:
            self.solver.solve()
        except faults.Interrupted as signal:
            return self.end_at(signal)
        if self.due():
            self.snapshot()
        return 0

    def follow(self):
        """The part of the ranks other than 0."""
        self.solver.step(max(0, self.param.max_iter - self.solver.iter))
        return 0

    def log_start(self):
        import caffe

        size = self.comm.size
        if size > 1:
            megabytes = 4 * sum(blob.count for blob in self.blobs) / 1e6
            caffe.log(f"{size} processes, a batch each; {megabytes:.1f} MB of gradients are averaged an iteration")

    def end_at(self, signal):
        """Write a snapshot, as a signal has asked the training to stop. Returns the exit code."""
        self.stop = None
        if self.is_new():
            self.snapshot()
        after = f"; go on with --snapshot {self.snapshots.last_state}" if self.snapshots.last_state else ""
        say(f"{signal} at iteration {self.solver.iter}{after}")
        return 128 + signal.number
