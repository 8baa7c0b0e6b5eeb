"""One rank's training: set-up, the solver's own loop, and what hangs on it."""

from .. import reduction
from ..net import weights
from ..net.prototxt import read_solver
from . import devices, faults, reduce, snapshots
from . import solver as solvers


class Refused(ValueError):
    """What is wrong with the set-up; all ranks know, and rank 0 says it."""


class Trainer:
    """Trains a solver as `caffe train` does, on as many ranks as the communicator has."""

    def __init__(self, options, comm):
        self.options, self.comm = options, comm
        self.root = comm.rank == 0
        self.param = self.solver = self.snapshots = None
        self.stop = None
        self.computing = False

    # Set-up: what one rank cannot do, all refuse

    def together(self, step):
        """Run a step of the set-up. If it fails on a rank, all raise what the first such rank says."""
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
        if self.options.snapshot:
            self.restore(state)
        if self.comm.size > 1:
            reduce.broadcast_weights(self.comm, self.blobs)
        self.first = self.solver.iter
        self.hook()

    def read(self):
        options = self.options
        self.param = read_solver(options.solver)
        self.weights = options.weights.split(",") if options.weights else list(self.param.weights)
        if options.snapshot:
            self.weights = []
        solvers.check_files(self.param, self.weights if self.root else [])
        self.prefix = snapshots.final_prefix(self.param, options.solver)
        self.device = devices.device(options.gpu, self.param, self.comm)
        scale = self.comm.size if options.scale_lr else 1
        self.schedule = solvers.Schedule(self.param, options.warmup, options.warmup_lr, scale)
        if self.root:
            self.snapshots = snapshots.Snapshots(self.param, self.prefix)

    def make_solver(self):
        import caffe

        caffe.set_solver_count(self.comm.size)
        caffe.set_solver_rank(self.comm.rank)
        caffe.set_multiprocess(self.comm.size > 1)
        devices.use(self.device)
        own = solvers.of_rank(self.param, self.comm.rank, self.comm.size, self.prefix, self.weights)
        self.solver = solvers.make(own)
        if self.comm.size > 1:
            solvers.check_sharded(self.solver.net, self.comm.size)

    def read_state(self):
        """The snapshot's solver state, of which only rank 0 needs the files."""
        if not (self.options.snapshot and self.root):
            return None
        state = snapshots.read_state(self.options.snapshot)
        expected = len(self.blobs) * snapshots.histories(self.solver)
        if len(state.history) != expected:
            raise ValueError(
                f"{self.options.snapshot} has {len(state.history)} arrays of history, where {self.options.solver} "
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
            self.average = devices.gradient_mean(self.device, self.comm, self.solver, self.blobs)
            reduction.over_ranks = self.mean_count
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
        """In the forward passes that all ranks make together; tests and the last display are rank 0's alone."""
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
        """Train; the exit code."""
        try:
            self.set_up()
            if self.root:
                return self.solve()
            self.solver.step(max(0, self.param.max_iter - self.solver.iter))
            return 0
        finally:
            if self.snapshots:
                self.snapshots.close()

    def solve(self):
        """Rank 0's part, which ends with the last snapshot."""
        if self.comm.size == 1:
            self.stop = faults.Stop()
        self.log_start()
        try:
            self.solver.solve()
        except faults.Interrupted as signal:
            return self.interrupted(signal)
        if self.due():
            self.snapshot()
        return 0

    def log_start(self):
        import caffe

        size = self.comm.size
        if size > 1:
            megabytes = 4 * sum(blob.count for blob in self.blobs) / 1e6
            caffe.log(f"{size} processes, a batch each; {megabytes:.1f} MB of gradients are averaged an iteration")

    def interrupted(self, signal):
        self.stop = None
        if self.solver.iter not in (self.first, self.snapshots.iteration):
            self.snapshot()
        after = f"; go on with --snapshot {self.snapshots.written}" if self.snapshots.written else ""
        faults.say(f"{signal} at iteration {self.solver.iter}{after}")
        return 128 + signal.number
