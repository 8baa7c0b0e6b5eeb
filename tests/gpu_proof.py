"""The checks of docker/gpu-proof: what this package does on a GPU, against the same on the CPU.

    python tests/gpu_proof.py [--cpu]

Prints a Markdown table, a row a check. Exit 0: all right; 1: one is wrong; 2: there is no GPU, or none for this Caffe.
With --cpu, the same checks run without a GPU. Then the CPU takes the place of the GPU, with other matrix products
(those of an older processor), so that the losses that are compared are not those of the same run.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

import documents
import numpy as np
from nets import input_layer, loss_layer

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "examples" / "yeast"), str(ROOT / "benchmarks")]
ITERATIONS = 300
# Sums in another order round otherwise. With --cpu, the products of another processor move the weights by up to 1e-5
# of the largest in 300 iterations (Yeast 3e-7, LeNet 1e-5), and no loss in the 6 digits that Caffe prints. A GPU also
# has other exp and log, and a ReLU or a maximum near a tie may turn to its other side, which weighs more.
TOLERANCE = 1e-3

Row = namedtuple("Row", "check result figure")  # result: right or WRONG


class Wrong(Exception):
    """What is wrong, in a line."""


class Proof:
    """The rows of the table; a check that raises is a wrong one, and the next is run."""

    def __init__(self, gpu, folder):
        self.gpu, self.folder, self.rows = gpu, folder, []
        self.option = ["--gpu", "0"] if gpu else []
        self.environment = {} if gpu else {"OPENBLAS_CORETYPE": "Prescott"}

    def check(self, name, function, *arguments):
        start = time.perf_counter()
        try:
            row = Row(name, "right", function(*arguments))
        except Exception as error:
            row = Row(name, "WRONG", f"{type(error).__name__}: {(str(error).splitlines() or [''])[-1]}")
        self.rows.append(row)
        print(f"{row.result}: {name}: {row.figure} ({time.perf_counter() - start:.0f} s)", file=sys.stderr, flush=True)

    def run(self, *command, folder=None, device=True):
        """A command's output; the device's environment only where it computes there."""
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **(self.environment if device else {})}
        environment["GLOG_minloglevel"] = "0"
        done = subprocess.run(
            command, cwd=str(folder or self.folder), env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, universal_newlines=True,
        )  # fmt: skip
        if done.returncode:
            raise Wrong(f"exit {done.returncode}: {' '.join(command[1:5])}: {(done.stdout.splitlines() or [''])[-1]}")
        return done.stdout

    def ours(self, *arguments, **more):
        return self.run(sys.executable, "-m", "caffe_losses", *arguments, **more)


# The layers


def gradient_tests(proof):
    if proof.gpu:
        proof.environment["CAFFE_LOSSES_TEST_GPU"] = "0"
    tests = [str(ROOT / "tests" / name) for name in ("test_layers.py", "test_gradcheck.py")]
    try:
        output = proof.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, folder=ROOT)
    finally:
        proof.environment.pop("CAFFE_LOSSES_TEST_GPU", None)
    return output.splitlines()[-1]


# Trainings


def write_yeast(folder):
    """The net of the Yeast example without its Dropout, whose random numbers a GPU makes otherwise."""
    import net
    import prepare
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    folder.mkdir()
    train, test = prepare.split(1)
    prepare.write(folder, train, test)
    net.write(folder, len(test))
    proto = text_format.Parse((folder / "softmax.prototxt").read_text(), caffe_pb2.NetParameter())
    kept = [layer for layer in proto.layer if layer.type != "Dropout"]
    del proto.layer[:]
    proto.layer.extend(kept)
    (folder / "softmax.prototxt").write_text(str(proto))
    write_solver(folder, ROOT / "examples" / "yeast" / "softmax_solver.prototxt", "softmax.prototxt")


def write_lenet(folder):
    """The template for 40 pictures that are made."""
    folder.mkdir()
    documents.pictures(folder)
    command = [sys.executable, "-m", "caffe_losses", "template", "lenet", "--loss", "softmax", "--lists", "lists"]
    command += ["--batch", "12", "--iter-size", "1", "--epochs", "100", "--warmup-epochs", "1", "-o", "."]
    subprocess.run(command, cwd=str(folder), check=True, stdout=subprocess.DEVNULL)
    write_solver(folder, folder / "solver.prototxt", "train_val.prototxt")


def write_solver(folder, path, net):
    """A solver like that at a path, of 300 iterations of a fixed seed, that snapshots at the end."""
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    solver = text_format.Parse(path.read_text(), caffe_pb2.SolverParameter())
    for field in ("test_iter", "test_interval", "average_loss", "test_initialization"):
        solver.ClearField(field)
    solver.net, solver.snapshot_prefix, solver.random_seed = net, "trained", 1
    solver.max_iter, solver.display, solver.snapshot = ITERATIONS, 10, ITERATIONS
    solver.solver_mode = solver.CPU
    (folder / "proof_solver.prototxt").write_text(str(solver))


def logged(log):
    return np.array([float(loss) for loss in re.findall(r"Iteration \d+\b.*, loss = (\S+)", log)])


def on_cpu(proof, folder, write):
    """The losses of `caffe train` on the CPU, which the others are compared with."""
    write(folder)
    log = proof.run(documents.CAFFE, "train", "--solver", "proof_solver.prototxt", folder=folder, device=False)
    losses = logged(log)
    (folder / "cpu.json").write_text(json.dumps(list(losses)))
    (folder / f"trained_iter_{ITERATIONS}.caffemodel").rename(folder / "cpu.caffemodel")
    if not losses[-1] < losses[0]:
        raise Wrong(f"the loss does not fall: {losses[0]:.4g} to {losses[-1]:.4g}")
    return f"loss {losses[0]:.4g} to {losses[-1]:.4g} in {ITERATIONS} iterations"


def trained(proof, folder, command):
    """How far the losses on the device are from those on the CPU."""
    log = proof.run(*command, "train", "--solver", "proof_solver.prototxt", *proof.option, folder=folder)
    losses, expected = logged(log), np.array(json.loads((folder / "cpu.json").read_text()))
    if losses.shape != expected.shape:
        raise Wrong(f"{len(losses)} losses in the log, and {len(expected)} on the CPU")
    apart = np.abs(losses - expected).max() / expected.max()
    if not apart <= TOLERANCE:
        raise Wrong(f"losses {apart:.1e} apart from the CPU's, more than {TOLERANCE}")
    return f"loss {losses[-1]:.4g}; at most {apart:.1e} apart from the CPU's"


# Commands


def gradcheck(proof):
    text = input_layer("data", (4, 2, 6, 6)) + input_layer("labels", (4, 5))
    text += (
        'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 3 '
        'kernel_size: 3 weight_filler { type: "xavier" } } }\n'
        'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }\n'
        'layer { name: "scores" type: "InnerProduct" bottom: "conv" top: "scores" inner_product_param { '
        'num_output: 5 weight_filler { type: "xavier" } } }\n'
    )
    for k, layer in enumerate(("MultiLabelSoftmaxLoss", "SigmoidCrossEntropyLoss")):
        text += loss_layer(layer, ["scores", "labels"], [f"loss{k}"], name=f"loss{k}")
    (proof.folder / "net.prototxt").write_text(text)
    output = proof.ours("gradcheck", "net.prototxt", "--elements", "30", *proof.option)
    derivatives = sum(map(int, re.findall(r"(\d+) derivatives, 0 wrong", output)))
    return f"{derivatives} derivatives, 0 wrong"


def evaluate(proof, folder):
    words = ["evaluate", "--model", "softmax.prototxt", "--weights", "cpu.caffemodel", "--force"]
    proof.ours(*words, "--json", "cpu_figures.json", folder=folder, device=False)
    proof.ours(*words, "--json", "figures.json", *proof.option, folder=folder)
    expected, figures = (json.loads((folder / name).read_text()) for name in ("cpu_figures.json", "figures.json"))
    mAP = [found["metrics"]["mAP"] if "metrics" in found else found["mAP"] for found in (expected, figures)]
    if not abs(mAP[1] - mAP[0]) <= TOLERANCE:
        raise Wrong(f"mAP {mAP[1]:.6f}, and {mAP[0]:.6f} on the CPU")
    return f"mAP {mAP[1]:.6f}, on the CPU {mAP[0]:.6f}"


def predict(proof, folder):
    words = ["predict", "--model", "train_val.prototxt", "--weights", "cpu.caffemodel", "--json"]
    words += ["--threshold", "0", *sorted(str(path) for path in (folder / "beach").glob("*.jpg"))]
    expected = probabilities(proof.ours(*words, folder=folder, device=False))
    found = probabilities(proof.ours(*words, *proof.option, folder=folder))
    apart = np.abs(found - expected).max()
    if not apart <= 1e-5:
        raise Wrong(f"probabilities {apart:.1e} apart from the CPU's, more than 1e-5")
    return f"{len(found)} pictures; probabilities at most {apart:.1e} apart from the CPU's"


def probabilities(output):
    """A row a picture, a column a class."""
    pictures = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return np.array([[p["probability"] for p in sorted(x["labels"], key=lambda p: p["index"])] for x in pictures])


# The cost of a loss


def cost(proof, shape, who):
    """Milliseconds of forward and backward with all blobs on the host, and of the copies that an iteration adds."""
    import contenders

    contender, net = contenders.in_net_with_blobs(contenders.random_data(shape), who)
    computing = median(contender.forward, contender.backward)
    if not proof.gpu:
        return f"computing {computing:.3g} ms"
    scores, labels = net.blobs["scores"], net.blobs["labels"]
    copies = median(lambda: (scores.data, labels.data), lambda: scores._gpu_diff_ptr, before=lambda: on_device(net))
    return f"computing {computing:.3g} ms, copies {copies:.3g} ms"


def on_device(net):
    """As a net leaves them: scores and labels newest on the GPU, the gradient on the host."""
    net.blobs["scores"]._gpu_data_ptr, net.blobs["labels"]._gpu_data_ptr, net.blobs["scores"].diff


def median(*parts, before=None, seconds=1):
    times, stop = [], time.perf_counter() + seconds
    while len(times) < 5 or (time.perf_counter() < stop and len(times) < 1000):
        if before:
            before()
        start = time.perf_counter()
        for part in parts:
            part()
        times.append(time.perf_counter() - start)
    return 1000 * np.median(times[1:])


# All


def machine():
    """Card, driver and toolkit; the words of nvidia-smi and nvcc."""
    card = subprocess.check_output(
        ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], text=True
    )
    with open(f"/proc/{os.getpid()}/maps") as maps:
        toolkit = sorted(
            {line.split("/")[-1].strip() for line in maps if "libcudart" in line or "libcublas.so" in line}
        )
    return f"{card.splitlines()[0]}, {', '.join(toolkit)}"


def prove(proof):
    yeast, lenet = proof.folder / "yeast", proof.folder / "lenet"
    proof.check("the layers' gradient tests", gradient_tests, proof)
    for name, folder, write in (("Yeast", yeast, write_yeast), ("LeNet", lenet, write_lenet)):
        proof.check(f"{name}, `caffe train` on the CPU", on_cpu, proof, folder, write)
        proof.check(f"{name}, `caffe train`", trained, proof, folder, [documents.CAFFE])
        ours = [sys.executable, "-m", "caffe_losses"]
        proof.check(f"{name}, `caffe-losses train`", trained, proof, folder, ours)
    proof.check("`caffe-losses gradcheck`", gradcheck, proof)
    proof.check("`caffe-losses evaluate`, Yeast", evaluate, proof, yeast)
    proof.check("`caffe-losses predict`, LeNet", predict, proof, lenet)
    import bench
    import contenders

    for shape in bench.SHAPES:
        for who in contenders.LAYERS:
            proof.check(f"{who}, {' x '.join(map(str, shape))}", cost, proof, shape, who)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", action="store_true", help="the same checks without a GPU")
    options = parser.parse_args()
    if not options.cpu:
        from caffe_losses.parallel import devices

        try:
            devices.check_built_for_gpus("--gpu 0")
            devices.use(0)
        except ValueError as error:
            print(f"gpu-proof: {error}", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory() as folder:
        proof = Proof(not options.cpu, Path(folder))
        prove(proof)
    print(f"\n{'CPU in place of a GPU' if options.cpu else machine()}\n")
    print("| check | result | figure |\n|---|---|---|")
    for row in proof.rows:
        print(f"| {row.check} | {row.result} | {row.figure} |".replace("\n", " "))
    return int(any(row.result != "right" for row in proof.rows))


if __name__ == "__main__":
    sys.exit(main())
