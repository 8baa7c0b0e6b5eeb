"""The training of one rank: its set-up, the solver's own loop, and what is called from that loop."""

import json
import random
import signal
import sys
from collections import namedtuple

from ..losses.base import over_ranks
from ..net import weights
from ..net.iteration import WeightsRefused
from ..net.prototxt import read_solver
from ..net.states import read_state
from ..options import shortened
from ..wiring import check_solver
from . import devices, faults, records, reduce, resume, snapshots
from . import solver as solvers
from .keep import Keep, TestMeans, rank_by
from .lines import end_log, one_line, say, write
from .progress import Progress

# What is to be trained: the options of `launch.train`
Job = namedtuple("Job", "solver weights snapshot gpu scale_lr warmup warmup_lr keep best stall_timeout folder")
RANDOM = "Dropout", "DummyData"  # layers that draw numbers in each iteration


class Refused(ValueError):
    """The set-up is wrong. All ranks know it, and rank 0 says why."""


class Trainer:
    """Trains a Job as `caffe train` does, as one rank of the communicator `comm`."""

    def __init__(self, job, comm):
        self.job, self.comm = job, comm
        self.root = comm.rank == 0
        self.param = self.solver = self.snapshots = self.data = None
        self.stop = self.hang_up = self.keep = self.tests = self.progress = self.terminal = None
        self.computing, self.record, self.before = False, {}, {}

    # Set-up: if one rank cannot do a step, all refuse

    def together(self, step):
        """Run a step of the set-up. If it fails on a rank, all ranks raise the error of the first such rank."""
        result = error = None
        try:
            result = step()
        except (ValueError, OSError, RuntimeError) as refusal:
            error = one_line(refusal)
        if self.stop is not None:
            self.stop.check()
        errors = self.comm.all_of(error)
        for rank, error in enumerate(errors):
            if error is not None:
                raise Refused(error if errors.count(error) == len(errors) else f"rank {rank}: {error}")
        return result

    def set_up(self):
        """Whether there is something to train."""
        self.together(self.read)
        if self.job.folder and not self.look_into_folder():
            return False
        self.together(lambda: solvers.check_weights(self.weights if self.root else []))
        self.together(self.try_out)
        self.together(self.open_log)
        self.together(self.make_solver)
        self.blobs = reduce.learned_blobs(self.solver.net)
        snapshot = self.together(self.read_weights)
        if self.job.snapshot:
            self.restore(snapshot)
        if self.comm.size > 1:
            reduce.broadcast_weights(self.comm, self.blobs)
        self.first = self.solver.iter
        if self.root:
            self.make_keep()
        self.seed()
        self.hook()
        return True

    def read(self):
        job = self.job
        self.param = read_solver(job.solver)
        texts = [] if job.snapshot else list(self.param.weights) if job.weights is None else [job.weights]
        self.weights = [name.strip() for text in texts for name in text.split(",")]
        solvers.check_files(self.param)
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

    def look_into_folder(self):
        """Rank 0 decides where a training in a folder goes on. Whether there is something to train."""
        plan = self.together(lambda: self.job.folder.plan(self.param, self.prefix) if self.root else None)
        text = self.comm.broadcast_bytes(json.dumps(plan).encode() if self.root else None)
        plan = json.loads(text.decode())
        if plan:
            self.job, self.weights = self.job._replace(snapshot=plan, weights=None), []
        return plan is not False

    def open_log(self):
        """The first file that is written, after all checks: from here on, what Caffe prints goes to it."""
        if self.root and self.job.folder:
            self.terminal = self.job.folder.start(self.prefix, anew=not self.job.snapshot)
        elif self.root and not self.job.snapshot:
            others = records.read_all(self.prefix)
            if others:
                say(
                    f"snapshot_prefix {self.prefix}: has snapshots of another training, up to iteration {max(others)}; "
                    "those of the same iterations are written over"
                )

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
        if self.root:
            self.make_records()

    def make_records(self):
        """What is written beside snapshots."""
        best = self.job.best
        self.record = {"type": resume.type_of(self.solver), "classes": resume.classes_of(self.param)}
        self.record["keep"] = self.job.keep
        if len(self.solver.test_nets):
            self.tests = TestMeans(self.solver, self.param.test_iter[0], self.tested)
        if best and self.tests is None:
            raise ValueError(f"--best {best}: the solver tests nothing; give it test_iter and test_interval")
        if best:
            self.tests.check(best)

    def make_keep(self):
        """Which snapshots are kept, those among them that this training left before it was stopped."""
        if self.job.snapshot:
            there = records.read_all(self.prefix)
            self.before = {k: record for k, record in there.items() if k <= self.first}
        if self.job.keep:
            best = self.job.best
            rank = best and rank_by(best, self.lower_is_better(best), self.means_at)
            kept = [k for k, record in self.before.items() if record.get("keep")]  # others were to stay
            written = {k: self.snapshots.files(self.prefix, k) for k in kept}
            self.keep = Keep(self.job.keep, rank, self.prefix, written)

    def lower_is_better(self, output):
        return records.less_is_better(output) or self.solver.test_nets[0].blob_loss_weights[output] != 0

    def means_at(self, iteration):
        return self.tests.means.get(iteration) or self.before.get(iteration, {}).get("tests", {})

    def read_weights(self):
        """Give rank 0 the weights to start from. Returns the Snapshot to go on from; only rank 0 needs the files."""
        if not self.root:
            return None
        if self.job.snapshot:
            return resume.read(self.job.snapshot, self.solver, self.blobs, self.job.solver, self.record["classes"])
        line = weights.start([self.solver.net, *self.solver.test_nets], self.weights)
        if line:
            say(line)
        zero = weights.of_zero(self.solver.net)
        if len(zero) > 1:  # that of the scores may be
            say(f"the weights of {shortened(zero)} are all 0, so that they learn nothing: give --weights or fillers")
        return None

    def restore(self, snapshot):
        state = self.comm.broadcast_bytes(snapshot.state if self.root else None)
        record = self.comm.broadcast_bytes(json.dumps(snapshot.record).encode() if self.root else None)
        snapshots.restore(self.solver, state)
        record = json.loads(record.decode())
        if self.root:
            self.snapshots.last_state = self.job.snapshot
        self.record["seed"] = record.get("seed")
        line = self.data.start_at(self.solver.iter, record.get("images"))
        if line and self.root:
            say(line)

    def seed(self):
        """The seed of what layers draw: the snapshot's, the solver's, or one that rank 0 draws."""
        drawn = self.param.random_seed if self.param.random_seed >= 0 else random.SystemRandom().randrange(1 << 31)
        seed = self.record.get("seed")
        text = self.comm.broadcast_bytes(str(drawn if seed is None else seed).encode() if self.root else None)
        self.record["seed"] = int(text.decode())
        self.draws = any(layer.type in RANDOM for layer in self.solver.net.layers)

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
        if self.draws:
            self.draw_anew()
        self.computing = True

    def draw_anew(self):
        """Have the numbers of an iteration depend on it, the seed and the rank alone: a stop changes nothing."""
        import caffe

        at = self.solver.iter * self.comm.size + self.comm.rank
        caffe.set_random_seed((self.record["seed"] * 1000003 + at) % (1 << 31))

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
        if self.progress:
            self.progress.at(self.solver.iter)
        if self.stop is not None:
            self.stop.check()

    def tested(self, iteration, means):
        """The first test net has been tested, in an iteration that may have a snapshot: also that it goes on from."""
        if iteration in (self.first, self.snapshots.iteration):
            record = self.before.get(iteration) if iteration == self.first else self.written
            if record:
                records.write(self.prefix, dict(record, tests=means))
        if self.progress:
            self.progress.test(iteration, means)

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
        record = dict(self.record, images=self.data.images(at))
        records.remove(self.prefix, at)  # of the snapshot that was there
        files = self.snapshots.write(self.solver, record)
        self.written = dict(record, iteration=at, tests={})
        records.write(self.prefix, self.written)
        caffe.log(f"Snapshot {files.state}")
        if self.keep:
            for iteration in self.keep.add(at, files):
                caffe.log(f"Deleted the snapshot of iteration {iteration} (--keep {self.job.keep})")

    # The whole

    def run(self):
        """Train to the end. Returns the exit code."""
        try:
            if self.comm.size == 1:
                self.stop = faults.Stop()
            if not self.set_up():
                return 0
            with over_ranks(self.mean_count):
                code = self.solve() if self.root else self.follow()
            self.comm.meet()
            if self.root and self.job.folder and code == 0:
                self.job.folder.publish(self.prefix)
            return code
        except faults.Interrupted as signal:  # while the training is set up
            say(f"{signal} before the first iteration")
            return 128 + signal.number
        except Exception as error:
            if self.terminal is not None:  # the command says it there
                write(2, f"caffe-losses: {one_line(error)}\n")
            raise
        finally:
            end_log()
            if self.snapshots:
                self.snapshots.close()

    def solve(self):
        """The part of rank 0, which ends with the last snapshot."""
        if self.job.folder:
            self.progress = Progress(self.terminal, self.first, self.param.max_iter)
        self.log_start()
        try:
            self.solver.solve()
        except faults.Interrupted as signal:
            return self.end_at(signal)
        if self.due():
            self.snapshot()
        if self.progress:
            self.progress.end()
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
        if self.progress:
            self.progress.end()
        state = self.snapshots.last_state or self.job.snapshot
        again = "the same command goes on" if self.job.folder else f"go on with --snapshot {state}"
        after = f"; {again}" if state else ""
        say(f"{signal} at iteration {self.solver.iter}{after}")
        return 128 + signal.number
