"""The commands that README, CONTRIBUTING and docs/ show: their options exist, and those that can run do."""

import functools
import json
import re
import shutil
import sys

import caffe
import documents
import layouts
import pytest
import training
from documents import block_id, blocks, check_command, pictures, shell
from nets import input_layer, net
from test_coming_from_another_layer import PASCAL, PASCAL_NET


@pytest.mark.parametrize("block", blocks("sh"), ids=block_id)
def test_commands_and_their_options_exist(block):
    for words in documents.commands(block.text):
        check_command(words)


# Each sh block is known by its page and how it starts: here if it cannot run, or with a function below that runs it.
NOT_RUN = {
    ("README.md", "make example"): "builds Caffe; test_examples.py runs the example",
    ("CONTRIBUTING.md", "make "): "builds Caffe, and runs the tests and the benchmark, for minutes",
    ("docs/testing.md", "make test"): "is this run",
    ("docs/testing.md", ".venv/bin/pytest"): "is a part of this run",
    (
        "docs/testing.md",
        ".venv/bin/python docs/tables.py",
    ): "writes into the checkout; test_docs.py runs it with --check",
    ("docs/caffe-and-docker.md", "docker/install-caffe"): "builds Caffe; make has built the one of this run by it",
    ("docs/caffe-and-docker.md", "pip install ."): "changes this environment; its extras are checked above",
    (
        "docs/caffe-and-docker.md",
        "python -m caffe_losses.kernels",
    ): "changes this checkout; pip has compiled them",
    ("docs/caffe-and-docker.md", "docker build -t caffe-losses -f"): "needs a container engine: docker/prove",
    ("docs/caffe-and-docker.md", "docker run --rm --user"): "needs a container engine: docker/prove",
    ("docs/caffe-and-docker.md", "docker build -t caffe-losses:"): "needs a container engine; test_docker.py checks it",
    ("docs/caffe-and-docker.md", "docker run --rm --gpus"): "needs a GPU",
    ("docs/caffe-and-docker.md", "make gpu-proof"): "needs a GPU, or minutes on the CPU",
    ("docs/caffe-and-docker.md", "docker/gpu-proof pack"): "writes a file of tens of MB, and needs a GPU",
    ("docs/adding-a-loss.md", ".venv/bin/python -m caffe_losses.kernels"): "test_adding_a_loss.py does it in a copy",
    ("docs/training.md", "apt-get"): "installs packages",
    ("docs/training.md", "mpirun"): "run below, by test_training_on_four_processes",
    ("docs/training.md", "cat > hosts"): "needs two machines; tests/hosts.py imitates them",
    ("docs/training.md", "caffe-losses train --solver solver.prototxt --gpu"): "needs four GPUs",
    ("docs/deployment.md", "mnnconvert"): "needs MNN; make converters runs it",
    ("docs/deployment.md", "python -m caffe2onnx.convert"): "needs caffe2onnx; make converters runs it",
    ("docs/training.md", "caffe-losses train net\n"): "a line of the README's walk, which is run",
    ("docs/templates.md", "cd hashtags"): "needs 3.5 million images; template, below, checks the names of the files",
}
RUN = {}


def runs(page, start):
    """Registers what runs a block of this page: a function of its text, a new folder and the fixtures."""

    def register(function):
        RUN[page, start] = function
        return function

    return register


def key_of(block):
    keys = [key for key in (*NOT_RUN, *RUN) if key[0] == block.page and block.text.startswith(key[1])]
    return max(keys, key=lambda key: len(key[1]), default=None)


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("sh"), ids=block_id)
def test_each_block_runs_or_says_why_not(block, tmp_path, request):
    key = key_of(block)
    assert key, "list this block in NOT_RUN, with the reason, or write what runs it"
    if key in RUN:
        RUN[key](block.text, tmp_path, request)


@pytest.mark.parametrize("key", [*NOT_RUN, *RUN], ids=": ".join)
def test_each_key_is_of_one_block(key):
    assert [key_of(block) for block in blocks("sh")].count(key) == 1


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """The README's walk from pictures to a measured net, as a newcomer does it, but with a smaller net."""
    (block,) = [block for block in blocks("sh", "README.md") if "caffe-losses split" in block.text]
    folder = tmp_path_factory.mktemp("walk")
    pictures(folder, split=False)
    here = {"~/caffe_losses/.venv": sys.prefix, "~/caffe_losses": str(documents.ROOT), "mobilenet": "lenet"}
    text = functools.reduce(lambda text, word: text.replace(word, here[word]), here, block.text)
    first = shell(text, folder)
    trains, figures = text.split("caffe-losses plot")
    assert "net is trained: net/best.caffemodel" in shell(trains, folder)  # all of it can be repeated
    for words in documents.commands("caffe-losses plot" + figures):
        assert "--force" in words or not {"-o", "--json", "--tune-thresholds"} & {*words}
    return folder, first


@runs("README.md", "source ~/caffe_losses")
def from_a_folder_of_pictures_to_a_measured_net(text, folder, request):
    folder, output = request.getfixturevalue("walk")
    assert "lists/train.csv: 32 images" in output
    assert re.search(r"^\.\./beach/1\.jpg +\w+ 0\.\d+", output, re.MULTILINE)
    figures = json.loads((folder / "net" / "figures.json").read_text())
    assert (figures["images"], figures["image_list"]) == (4, "../lists/test.csv")
    assert re.search(r"mAP_interval +0\.\d+ to [01]\.\d+", output)
    spec = json.loads((folder / "net" / "tags.json").read_text())
    thresholds = json.loads((folder / "net" / "thresholds.json").read_text())
    assert dict(zip(spec["classes"], spec["thresholds"])) == thresholds
    assert all((folder / "net" / name).stat().st_size > 10000 for name in ("curves.png", "figures.png"))


def trained(folder, request):
    """Fills a folder with what the commands on a trained net take."""
    walked, _ = request.getfixturevalue("walk")
    shutil.copy(str(walked / "net" / "best.caffemodel"), str(folder / "net.caffemodel"))
    for name in ("train_val.prototxt", "train.log"):
        shutil.copy(str(walked / "net" / name), str(folder))
    for name in ("beach", "lists"):
        shutil.copytree(str(walked / name), str(folder / name))


@runs(
    "docs/metrics-and-evaluation.md", "caffe-losses evaluate --model train_val.prototxt --weights net.caffemodel --tune"
)
def thresholds_of_each_class(text, folder, request):
    trained(folder, request)
    output = shell(text, folder)
    assert "thresholds.json: thresholds for macro_f1, tuned on these images" in output
    assert sorted(json.loads((folder / "thresholds.json").read_text())) == ["dog", "sea", "sunset"]


@runs("docs/losses.md", "caffe-losses weights")
def weights_of_classes(text, folder, request):
    pictures(folder)
    assert "pos_weight.txt: 3 weights" in shell(text, folder)


@runs(
    "docs/metrics-and-evaluation.md", "caffe-losses evaluate --model train_val.prototxt --weights net.caffemodel --json"
)
def evaluate(text, folder, request):
    trained(folder, request)
    assert "mAP" in shell(text, folder)
    assert json.loads((folder / "figures.json").read_text())["images"] == 4


@runs("docs/metrics-and-evaluation.md", "caffe-losses evaluate --model deploy.prototxt")
def evaluate_and_predict_a_deploy_net(text, folder, request):
    trained(folder, request)
    files = "--weights net.caffemodel --output-weights deploy.caffemodel"
    shell(f"caffe-losses deploy train_val.prototxt -o deploy.prototxt {files}", folder)
    output = shell(text, folder)
    assert re.search(r"^4 images; ", output, re.MULTILINE)
    assert len(re.findall(r"^beach/\d\.jpg +\w+ 0\.\d+", output, re.MULTILINE)) == 2


@runs("docs/metrics-and-evaluation.md", "caffe-losses predict")
def predict(text, folder, request):
    trained(folder, request)
    assert len(re.findall(r"^beach/\d\.jpg +\w+ 0\.\d+", shell(text, folder), re.MULTILINE)) == 2


@runs("docs/metrics-and-evaluation.md", "caffe-losses plot")
def plot(text, folder, request):
    trained(folder, request)
    shell(text, folder)
    assert (folder / "curves.png").stat().st_size > 10000


@runs("docs/data.md", "caffe-losses split")
def split(text, folder, request):
    pictures(folder, split=False)
    assert "lists/train.csv: 32 images" in shell(text, folder)


@runs("docs/data.md", "caffe-losses import")
def imports(text, folder, request):
    layouts.write(folder)
    assert "coco/classes.txt: 3 classes, kept" in shell(text, folder)
    assert all((folder / name / "test.csv").read_text().count("\n") == 2 for name in ("coco", "voc", "celeba"))


@runs("docs/data.md", "caffe-losses resample")
def resample(text, folder, request):
    pictures(folder)
    shell(text, folder)
    assert (folder / "lists" / "resampled.csv").read_text().count("\n") > 36


@runs("docs/data.md", "caffe-losses evaluate")
def several_views(text, folder, request):
    trained(folder, request)
    output = shell(text, folder)
    assert "probabilities are means over 10 views of each image" in output
    assert re.search(r"^beach/1\.jpg +\w+ 0\.\d+", output, re.MULTILINE)


@runs("docs/checking-gradients.md", "caffe-losses gradcheck")
def gradcheck(text, folder, request):
    inputs = input_layer("scores", (4, 5)) + input_layer("labels", (4, 5))
    (folder / "train_val.prototxt").write_text(inputs + blocks("protobuf", "README.md")[0].text)
    assert "loss: 20 derivatives, 0 wrong" in shell(text, folder)


SINGLE_LABEL = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 12 force_color: true mean_value: 10 }
  data_param { source: "train" batch_size: 4 backend: LMDB } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 12 force_color: true mean_value: 10 }
  data_param { source: "test" batch_size: 4 backend: LMDB } }
layer { name: "fc8" type: "InnerProduct" bottom: "data" top: "fc8" inner_product_param { num_output: 10 } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc8" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" }
"""


@runs("docs/wiring.md", "caffe-losses wire train_val.prototxt -o hashtags.prototxt --loss MultiLabelSoftmaxLoss")
def wire_and_deploy(text, folder, request):
    (folder / "train_val.prototxt").write_text(SINGLE_LABEL)
    assert "fc8: 10 -> 17000 outputs" in shell(text, folder)
    deployed = (folder / "hashtags_deploy.prototxt").read_text()
    assert net(deployed).forward()["prob"].shape == (1, 17000)


@runs("docs/wiring.md", "caffe-losses wire train_val.prototxt -o hashtags.prototxt --loss SigmoidCrossEntropyLoss")
def wire_lists(text, folder, request):
    pictures(folder)
    (folder / "train_val.prototxt").write_text(SINGLE_LABEL)
    output = shell(text, folder)
    assert "fc8: 10 -> 3 outputs" in output
    assert "test_iter: 1" in output


PUBLISHED = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool1" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@runs("docs/wiring.md", "caffe-losses wire deploy.prototxt")
def wire_a_published_net(text, folder, request):
    pictures(folder)
    (folder / "deploy.prototxt").write_text(PUBLISHED)
    net(PUBLISHED, caffe.TEST).save(str(folder / "published.caffemodel"))
    (folder / "solver.prototxt").write_text(
        'net: "train_val.prototxt" base_lr: 0.001 lr_policy: "fixed" max_iter: 2 test_iter: 1 test_interval: 9 '
        'snapshot_prefix: "net"'
    )
    output = shell(text, folder)
    assert "weights: 1 of 2 layers start from published.caffemodel; not ['fc_3']" in output
    assert (folder / "net_iter_2.caffemodel").exists()


@runs("docs/coming-from-another-layer.md", "caffe-losses wire")
def wire_the_pascal_example(text, folder, request):
    pictures(folder)
    (folder / "train_val.prototxt").write_text(
        PASCAL.format("TRAIN", "train") + PASCAL.format("TEST", "val") + PASCAL_NET
    )
    assert "data: pascal_multilabel_datalayers.PascalMultilabelDataLayerSync -> MultiLabelImageData" in shell(
        text, folder
    )


@runs("docs/deployment.md", "caffe-losses deploy")
def deploy_with_weights(text, folder, request):
    trained(folder, request)
    shell(text, folder)
    names = json.loads((folder / "deploy.json").read_text())["classes"]
    probabilities = net((folder / "deploy.prototxt").read_text()).forward()["prob"]
    assert probabilities.shape == (1, len(names))
    assert (folder / "deploy.caffemodel").stat().st_size > 10000


@runs("docs/deployment.md", "cp ~/caffe_losses/examples/tags/")
def tags(text, folder, request):
    trained(folder, request)
    shell(blocks("sh", "docs/deployment.md")[0].text, folder)
    output = shell(text.replace("~/caffe_losses", str(documents.ROOT)), folder)
    assert re.search(r"^beach/1\.jpg  \w+ 0\.\d+", output, re.MULTILINE)


@runs("docs/templates.md", "caffe-losses template")
def template(text, folder, request):
    shell(text, folder)
    assert "17000" in (folder / "hashtags" / "train_val.prototxt").read_text()
    (next_block,) = [block for block in blocks("sh", "docs/templates.md") if block.text.startswith("cd hashtags")]
    warm_up, main = documents.commands(next_block.text)[1:]
    assert (folder / "hashtags" / warm_up[-1]).is_file()
    assert f"# After the warm-up: {' '.join(main)}\n" in (folder / "hashtags" / "solver.prototxt").read_text()


def solver(folder):
    training.write_data(folder)
    training.write_net(folder, "net", batch=4)
    shutil.copy(training.write_solver(folder, "net", max_iter=200, snapshot=100), str(folder / "solver.prototxt"))


@runs("docs/training.md", "caffe-losses train --solver solver.prototxt\ncaffe-losses train")
def train(text, folder, request):
    solver(folder)
    shell(text, folder)
    assert (folder / "net_iter_200.caffemodel").is_file()


@pytest.mark.slow
def test_training_on_four_processes(tmp_path):
    """Apart, as docker/entry leaves it out where mpirun is not installed."""
    (block,) = [block for block in blocks("sh", "docs/training.md") if block.text.startswith("mpirun")]
    solver(tmp_path)
    shell("caffe-losses train --solver solver.prototxt", tmp_path)
    (tmp_path / "net_iter_200.caffemodel").rename(tmp_path / "net.caffemodel")
    shell(block.text, tmp_path)
    assert (tmp_path / "net_iter_200.caffemodel").is_file()
