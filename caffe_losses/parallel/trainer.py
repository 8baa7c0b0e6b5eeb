"""The training of one rank: its set-up, the solver's own loop, and what is called from that loop."""

from collections import namedtuple

from ..losses.base import over_ranks
from ..net import weights
from ..net.prototxt import read_solver
from . import devices, faults, reduce, snapshots
from . import solver as solvers

# What is to be trained: the options of `launch.train`
Job = namedtuple("Job", "solver weights snapshot gpu scale_lr warmup warmup_lr")


class Refused(ValueError):
    """The set-up is wrong. All ranks know it, and rank 0 says why."""


class Trainer:
    """Trains a Job as `caffe train` does, as one rank of the communicator `comm`."""

    def __init__(self, job, comm):
        self.job, self.comm = job, comm
        self.root = comm.rank == 0
        self.param = self.solver = self.snapshots = None
        self.stop = None
        self.computing = False

    # Set-up: if one rank cannot do a step, all refuse

    def together(self, step):
        """Run a step of the set-up. If it fails on a rank, all ranks raise the error of the first such rank."""
        result = error = None
        try:
            result = step()
        except (ValueError, OSError, RuntimeError) as refusal:
            error = faults.one_line(refusal)
        errors = self.comm.all_of(error)
        for rank, error in enumerate(errors):
            if error is not None:
                raise Refused(error if errors.count(error) == len(errors) else f"rank {rank}: {error}")
        return result

    def set_up(self):
        self.together(self.read)
        self.together(self.make_solver)
        self.blobs = reduce.learned_blobs(self.solver.net)
        state = self.together(self.read_state)
        if self.job.snapshot:
            self.restore(state)
        if self.comm.size > 1:
            reduce.broadcast_weights(self.comm, self.blobs)
        self.first = self.solver.iter
        self.hook()

    def read(self):
        job = self.job
        self.param = read_solver(job.solver)
        self.weights = job.weights.split(",") if job.weights else list(self.param.weights)
        if job.snapshot:
            self.weights = []
        solvers.check_files(self.param, self.weights if self.root else [])
        self.prefix = snapshots.final_prefix(self.param, job.solver)
        self.device = devices.device(job.gpu, self.param, self.comm)
        scale = self.comm.size if job.scale_lr else 1
        self.schedule = solvers.Schedule(self.param.base_lr * scale, warmup=job.warmup, first=job.warmup_lr)
        if self.root:
            self.snapshots = snapshots.Snapshots(self.param, self.prefix)

    def make_solver(self):
        import caffe

        caffe.set_solver_count(self.comm.size)
        caffe.set_solver_rank(self.comm.rank)
        caffe.set_multiprocess(self.comm.size > 1)
        devices.use(self.device)
        self.solver = solvers.make(
            solvers.of_rank(
                self.param, rank=self.comm.rank, size=self.comm.size, prefix=self.prefix, weights=self.weights
            )
        )
        if self.comm.size > 1:
            solvers.check_sharded(self.solver.net, self.comm.size)

    def read_state(self):
        """The solver state of the snapshot. Only rank 0 needs the files."""
        if not (self.job.snapshot and self.root):
            return None
        state = snapshots.read_state(self.job.snapshot)
        expected = len(self.blobs) * snapshots.histories(self.solver)
        if len(state.history) != expected:
            raise ValueError(
                f"{self.job.snapshot} has {len(state.history)} arrays of history, where {self.job.solver} "
                f"takes {expected}; it is of another net or type of solver"
            )
        return state

    def restore(self, state):
        if self.root:
            weights.copy(self.solver.net, state.learned_net)
            state.ClearField("learned_net")  # the weights are broadcast
        state = self.comm.broadcast_bytes(state.SerializeToString() if self.root else None)
        snapshots.restore(self.solver, state)

    def hook(self):
        if self.comm.size > 1:
            # kept here, as Caffe keeps no reference
            self.average = devices.gradient_mean(self.device, self.comm, solver=self.solver, blobs=self.blobs)
        self.solver.add_callback(self.start_iteration, self.gradients_ready)
        if self.comm.size > 1:
            self.solver.add_callback(*self.average)
        if self.root and len(self.solver.test_nets):
            self.solver.test_nets[0].before_forward(self.before_test_layer)

    # The solver calls these

    def start_iteration(self):
        self.between_iterations()
        self.solver.param.base_lr = self.schedule.base_lr(self.solver.iter)
        self.computing = True

    def gradients_ready(self):
        self.computing = False

    def mean_count(self, count):
        """The mean over the ranks, in the forward passes that all make together. Tests are made by rank 0 alone."""
        return self.comm.mean(count) if self.computing else count

    def before_test_layer(self, layer):
        if layer == 0:  # Caffe, too, writes a snapshot before the tests of its iteration
            self.between_iterations()

    def between_iterations(self):
        if self.root and self.due():
            self.snapshot()
        if self.stop is not None:
            self.stop.check()

    def due(self):
        at, every = self.solver.iter, self.param.snapshot
        last = self.param.snapshot_after_train and at >= self.param.max_iter
        return at != self.first and at != self.snapshots.iteration and (last or (every > 0 and at % every == 0))

    def snapshot(self):
        import caffe

        caffe.log(f"Snapshot {self.snapshots.write(self.solver)}")

    # The whole

    def run(self):
        """Train to the end. Returns the exit code."""
        try:
            self.set_up()
            with over_ranks(self.mean_count):
                return self.solve() if self.root else self.follow()
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
        if self.solver.iter not in (self.first, self.snapshots.iteration):
            self.snapshot()
        after = f"; go on with --snapshot {self.snapshots.last_state}" if self.snapshots.last_state else ""
        faults.say(f"{signal} at iteration {self.solver.iter}{after}")
        return 128 + signal.number
