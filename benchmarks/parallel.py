"""Time training on several ranks, fit a model of an iteration's time, and draw it out; see parallel.md.

python benchmarks/parallel.py              # as root: with two hosts in network namespaces
python benchmarks/parallel.py --no-hosts
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

SIZES = [4**k for k in range(5, 14)]  # bytes of an Allreduce: 1 kB to 64 MB
NETS = {"lenet": 64, "mobilenet": 2, "caffenet": 2}  # of prototxt/, with a batch of each rank
ITERATIONS = {"lenet": 40, "mobilenet": 8, "caffenet": 5}
RATES = [None, "1gbit"]
ENVIRONMENT = {
    **os.environ,
    "GLOG_minloglevel": "2",
    "OPENBLAS_NUM_THREADS": "1",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}

# On paper
FLOAT = 4  # bytes
RESNET50 = 25_557_032
CLASSES = 17_000
PARAMETERS = RESNET50 + (2048 + 1) * (CLASSES - 1000)
CALLS = 1 + 6  # the classifier's 139 MB by itself, and the rest in buckets of 16 MB
LATENCY = 20e-6  # seconds a message, of TCP through a switch
COMPUTE = {"0.1 s (a GPU, say)": 0.1, "1 s": 1.0, "10 s (CPU cores, say)": 10.0}
RANKS = 64, 336
BANDWIDTHS = {"10 Gbit/s": 10e9 / 8, "100 Gbit/s": 100e9 / 8}


# What a rank does, under mpirun


def time_allreduce(comm):
    """{bytes: median seconds of an Allreduce}."""
    from time import perf_counter

    times = {}
    for size in SIZES:
        array, seconds = np.ones(size // FLOAT, np.float32), []
        for _ in range(max(5, min(100, (1 << 24) // size))):
            comm.world.Barrier()
            start = perf_counter()
            comm.sum(array)
            array *= np.float32(1 / comm.size)
            seconds.append(perf_counter() - start)
        times[size] = max(comm.all_of(float(np.median(seconds))))
    return times


def dummy_net(name, batch, folder):
    """A net of prototxt/ that makes its own data."""
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    from caffe_losses import templates

    known = templates.TEMPLATES[name]
    net = templates.train_val(name, "softmax", label_format="INDEX", batch=batch)
    layers = [layer for layer in net.layer if layer.type != "Data"]
    data = caffe_pb2.LayerParameter(name="data", type="DummyData", top=["data", "labels"])
    for shape, filler in [
        ((batch, known.channels, known.size, known.size), {"type": "gaussian"}),
        ((batch, 1), {"type": "constant", "value": 1}),
    ]:
        data.dummy_data_param.shape.add(dim=shape)
        data.dummy_data_param.data_filler.add(**filler)
    path = os.path.join(folder, f"{name}.prototxt")
    with open(path, "w") as file:
        file.write(text_format.MessageToString(caffe_pb2.NetParameter(layer=[data, *layers])))
    return path


def time_steps(comm, name, folder):
    """Median seconds of an iteration's parts: compute, wait for the slowest rank, average."""
    from time import perf_counter

    import caffe

    from caffe_losses.parallel import reduce

    caffe.set_random_seed(comm.rank)
    path = os.path.join(folder, f"{name}_{comm.rank}_solver.prototxt")
    with open(path, "w") as file:
        net = os.path.join(folder, f"{name}.prototxt")
        file.write(
            f'net: "{net}" base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0001 solver_mode: CPU\n'
        )
    solver = caffe.SGDSolver(path)
    blobs = reduce.learned_blobs(solver.net)
    average, marks = reduce.GradientMean(comm, blobs), []

    def ready():
        marks.append(perf_counter())
        comm.world.Barrier()
        marks.append(perf_counter())
        if comm.size > 1:
            average()
        marks.append(perf_counter())

    solver.add_callback(lambda: marks.append(perf_counter()), ready)
    solver.step(ITERATIONS[name] + 3)
    times = np.array(marks).reshape(-1, 4)[2:]  # start, gradients, all ranks', averaged
    compute = (times[:-1, 1] - times[:-1, 0]) + (times[1:, 0] - times[:-1, 3])
    parts = [compute, times[:-1, 2] - times[:-1, 1], times[:-1, 3] - times[:-1, 2], np.diff(times[:, 0])]
    own = [float(np.median(part)) for part in parts]
    mean = np.mean(comm.all_of(own), axis=0)
    return {
        "bytes": average.bytes,
        "calls": len(average.buckets),
        **dict(zip(("compute", "wait", "average", "step"), mean.tolist())),
    }


def rank(folder):
    from caffe_losses.parallel.comm import Ranks, launched_size

    comm = Ranks(launched_size())
    result = {"allreduce": time_allreduce(comm)} if comm.size > 1 else {}
    result["steps"] = {name: time_steps(comm, name, folder) for name in NETS}
    if comm.rank == 0:
        print("RESULT" + json.dumps(result))


# What the program does


def measure(mpirun, ranks, folder, options=()):
    command = [*mpirun, *options, "-n", str(ranks), sys.executable, __file__, "--rank", folder]
    done = subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, check=True)
    return json.loads(re.search(r"^RESULT(.*)$", done.stdout.decode(), re.MULTILINE).group(1))


def measure_all(with_hosts):
    """{where: what was measured there}."""
    import hosts
    from training import MPIRUN

    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, batch in NETS.items():
            dummy_net(name, batch, folder)
        for ranks in (1, 2, 4):
            results[f"{ranks} ranks, shared memory"] = measure(MPIRUN, ranks, folder)
        for rate in RATES if with_hosts else []:
            with hosts.two_hosts(rate):
                options = hosts.mpirun_from_a(Path(folder))
                results[f"2 hosts, TCP, {rate or 'no limit'}"] = measure(hosts.on_a(MPIRUN), 2, folder, options)
    return results


def fit(times, ranks):
    """(latency, bandwidth) of  2 (N - 1) latency + 2 (N - 1) / N bytes / bandwidth,  by relative least squares."""
    sizes = np.array([int(size) for size in times], float)
    seconds = np.array(list(times.values()))
    rows = np.stack([np.full_like(sizes, 2 * (ranks - 1)), 2 * (ranks - 1) / ranks * sizes], axis=1)
    (latency, per_byte), *_ = np.linalg.lstsq(rows / seconds[:, None], np.ones_like(seconds), rcond=None)
    return max(latency, 0), 1 / per_byte


def averaging(ranks, size, calls, latency, bandwidth):
    """Seconds to average gradients of `size` bytes on a ring, in as many calls, one after the other."""
    return calls * 2 * (ranks - 1) * latency + 2 * (ranks - 1) / ranks * size / bandwidth


def tables(results):
    """The page's tables, as Markdown."""
    lines = ["| where | net | batch | MB | compute | wait | average | step | efficiency | average by the model |"]
    lines.append("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    alone = results["1 ranks, shared memory"]["steps"]
    fits = {
        where: fit(result["allreduce"], int(where.split()[0]))
        for where, result in results.items()
        if "allreduce" in result
    }
    for where, result in results.items():
        for name, step in result["steps"].items():
            model = (
                f"{1e3 * averaging(int(where.split()[0]), step['bytes'], step['calls'], *fits[where]):.1f}"
                if where in fits
                else ""
            )
            ms = " | ".join(f"{1e3 * step[part]:.1f}" for part in ("compute", "wait", "average", "step"))
            efficiency = alone[name]["step"] / step["step"]
            lines.append(
                f"| {where.replace('1 ranks, shared memory', '1 process')} | {name} | {NETS[name]} "
                f"| {step['bytes'] / 1e6:.1f} | {ms} | {efficiency:.0%} | {model} |"
            )
    lines += ["", "| where | latency of a message, µs | bandwidth, Gbit/s |", "|---|--:|--:|"]
    lines += [f"| {where} | {1e6 * a:.0f} | {8e-9 * b:.2f} |" for where, (a, b) in fits.items()]
    return "\n".join([*lines, "", *paper()])


def paper():
    size = PARAMETERS * FLOAT
    lines = [f"| compute an iteration | {' | '.join(f'{n} ranks, {b}' for n in RANKS for b in BANDWIDTHS)} |"]
    lines.append("|---|" + "--:|" * (len(RANKS) * len(BANDWIDTHS)))
    seconds = [averaging(n, size, CALLS, LATENCY, b) for n in RANKS for b in BANDWIDTHS.values()]
    lines.append(f"| averaging {size / 1e6:.0f} MB | " + " | ".join(f"{t:.3f} s" for t in seconds) + " |")
    for name, compute in COMPUTE.items():
        lines.append(f"| {name} | " + " | ".join(f"{compute / (compute + t):.0%}" for t in seconds) + " |")
    return lines


def write(text):
    """Put the tables into parallel.md, between its marks."""
    path = HERE / "parallel.md"
    before, rest = path.read_text().split("<!-- measured -->\n", 1)
    after = rest.split("<!-- end -->", 1)[1]
    path.write_text(f"{before}<!-- measured -->\n{text}\n<!-- end -->{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-hosts", action="store_true", help="without network namespaces, which need root")
    parser.add_argument("--dry-run", action="store_true", help="print, and write nothing")
    parser.add_argument("--rank", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank:
        return rank(options.rank)
    results = measure_all(not options.no_hosts)
    print(tables(results))
    if not options.dry_run:
        write(tables(results))
        (HERE / "parallel.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
