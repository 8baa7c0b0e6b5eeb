"""What README, CONTRIBUTING and docs/ say: tables, links, and each code block, run. Commands: test_doc_commands.py."""

import re
import subprocess
import sys

import caffe
import documents
import numpy as np
import pytest
from documents import PAGES, ROOT, block_id, blocks
from house_rules import OTHERS
from nets import fill, input_layer, net

import caffe_losses
from caffe_losses import losses
from caffe_losses.data import lists
from caffe_losses.evaluation.deployed import NEEDED
from caffe_losses.evaluation.deployed import read as read_json

SHAPES = {
    "scores": (4, 5),
    "probabilities": (4, 5),
    "labels": (4, 5),
    "indices": (4, 3),
    "label": (4,),
    "weights": (4,),
}
# the languages that have a test below; test_adding_a_loss.py has that of C, and of blocks that are files of the package
RUN_BY = "protobuf", "python", "sh", "csv", "json", "jsonl", "txt", "mermaid", "c"


# Pages


@pytest.mark.parametrize("page", PAGES)
def test_each_code_block_is_of_a_language_that_is_run(page):
    text = documents.read(page)
    own = [block for block in documents.BLOCKS if block.page == page]
    assert len(re.findall(r"```|~~~", text)) == 2 * len(own)
    assert {block.language for block in own} <= set(RUN_BY)
    assert not re.search(r"^(?: {4}|\t)", documents.prose(page), re.MULTILINE), "an indented code block"


@pytest.mark.parametrize("page", [*PAGES, *OTHERS])
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", documents.prose(page)):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            path = ((ROOT / page).parent / path).resolve() if path else ROOT / page
            assert path.is_file(), target
            if anchor:
                assert anchor in documents.anchors(str(path.relative_to(ROOT))), target


def test_each_page_is_linked_from_the_readme():
    for page in PAGES[1:]:
        assert f"]({page})" in documents.read("README.md")


@pytest.mark.slow
def test_option_tables_are_up_to_date():
    command = [sys.executable, str(ROOT / "docs" / "tables.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def command_tables():
    for page in PAGES:
        for rows in documents.tables(page):
            title = re.fullmatch("option of `([a-z]+)`", rows[0][0])
            if title:
                yield pytest.param(title.group(1), [row[0] for row in rows[1:]], id=title.group(1))


@pytest.mark.parametrize("command, cells", list(command_tables()))
def test_tables_of_commands_have_every_option(command, cells):
    assert set(re.findall(r"--[a-z][\w-]*", " ".join(cells))) == documents.options_of(command)


@pytest.mark.slow
def test_each_command_has_a_table():
    output = subprocess.run([sys.executable, "-m", "caffe_losses", "--help"], capture_output=True, text=True).stdout
    names = set(re.findall(r"^    (\w+)(?:  |$)", output, re.MULTILINE))
    assert len(names) > 5
    assert {table.values[0] for table in command_tables()} == names


def test_each_loss_has_its_section_and_each_function_is_there():
    sections = re.findall(r"^### (\w+Loss)$", documents.prose("docs/losses.md"), re.MULTILINE)
    assert sorted(sections) == sorted(losses.__all__)
    functions = re.findall(r"`(\w+_loss)\(", documents.prose("docs/losses.md"))
    assert len(functions) == len(losses.__all__)
    assert all(callable(getattr(caffe_losses, name)) for name in functions)


@pytest.mark.parametrize("page", PAGES)
def test_what_stands_in_inline_code_exists(page):
    for span in documents.spans(page):
        words = span.split()
        if words[0] in ("make", "caffe-losses"):
            documents.check_command(words)
        elif re.fullmatch(r"(caffe_losses|docs|tests|docker|prototxt|examples|benchmarks)/[\w/.-]*", span):
            assert span == "tests/test_X.py" or (ROOT / span).exists(), span


# Prototxt


def is_of(*layers):
    return lambda block: any(layer in block.text for layer in layers)


def losses_of(page=None):
    """The prototxt blocks of loss layers."""
    around = is_of("MultiLabelImageData", "MultiLabelMetrics")
    return [block for block in blocks("protobuf", page) if not around(block)]


@pytest.fixture(scope="module", autouse=True)
def hinge(tmp_path_factory):
    """The module that docs/adding-a-loss.md tells to write, where Caffe finds it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "hinge.py").write_text(blocks("python", "docs/adding-a-loss.md")[0].text)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield


def run_block(block):
    """(loss, gradient) of a block's layer, on scores and labels of a fixed seed."""
    bottoms = sorted(set(re.findall('bottom: "(.*?)"', block.text)))
    loaded = net("".join(input_layer(name, SHAPES[name]) for name in bottoms) + block.text)
    random = np.random.RandomState(0)
    scores = random.rand(4, 5)
    inputs = {
        "scores": scores,
        "probabilities": scores / scores.sum(1, keepdims=True),
        "labels": random.rand(4, 5) < 0.5,
        "indices": [[0, 2, -1], [1, -1, -1], [-1, -1, -1], [4, 3, 1]],
        "label": [0, 2, 1, 4],
        "weights": [1, 2, 0, 1],
    }
    fill(loaded, **{name: np.asarray(inputs[name], np.float32) for name in bottoms})
    loss = float(loaded.forward()["loss"])
    loaded.backward()
    return loss, loaded.blobs["scores" if "scores" in bottoms else "probabilities"].diff.copy()


@pytest.mark.parametrize("block", losses_of(), ids=block_id)
def test_losses_train(block):
    loss, gradient = run_block(block)
    assert loss > 0
    assert gradient.any()


def pairs():
    """A block of a layer of Caffe's, and the one after it."""
    page = losses_of("docs/coming-from-another-layer.md")
    return [(old, new) for old, new in zip(page, page[1:]) if 'type: "Python"' not in old.text]


@pytest.mark.parametrize("old, new", pairs(), ids=block_id)
def test_the_layer_to_come_from_gives_the_same(old, new):
    old, new = run_block(old), run_block(new)
    assert old[0] == pytest.approx(new[0], rel=1e-6)
    np.testing.assert_allclose(old[1], new[1], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("block", list(filter(is_of("MultiLabelImageData"), blocks("protobuf"))), ids=block_id)
def test_the_data_layer_reads(block, tmp_path, monkeypatch):
    documents.pictures(tmp_path)
    monkeypatch.chdir(tmp_path)
    loaded = net(block.text)
    loaded.forward()
    assert loaded.blobs["data"].data.shape == (32, 3, 224, 224)
    assert set(loaded.blobs["labels"].data.sum(1)) == {1, 2}


@pytest.mark.parametrize("block", list(filter(is_of("MultiLabelMetrics"), blocks("protobuf"))), ids=block_id)
def test_the_metrics_layer_measures(block):
    loaded = net(input_layer("scores", (32, 6)) + input_layer("labels", (32, 6)) + block.text, caffe.TEST)
    loaded.blobs["scores"].data[:, 2] = loaded.blobs["labels"].data[:, 2] = 1
    for _ in range(79):
        tops = loaded.forward()
    means = {name: float(value) / 79 for name, value in tops.items()}
    assert means == pytest.approx({"mAP": 1, "hit@1": 1, "precision@5": 0.2})


# Python, lists and diagrams


@pytest.mark.slow
@pytest.mark.parametrize("block", [b for b in blocks("python") if not re.match(r"# \S+\.py\n", b.text)], ids=block_id)
def test_python_runs(block, tmp_path, monkeypatch):
    documents.pictures(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, block_id(block), "exec"), {})


@pytest.mark.parametrize("block", [*blocks("csv"), *blocks("jsonl"), *blocks("txt")], ids=block_id)
def test_lists_are_read(block, tmp_path):
    path = tmp_path / f"list.{block.language}"
    path.write_text(block.text)
    images = lists.read(str(path))
    assert images.paths == ["beach/1.jpg", "beach/2.jpg"]
    assert images.classes == ["dog", "sea", "sunset"]
    assert images.frequencies().tolist() == [1, 1, 1]


@pytest.mark.parametrize("block", blocks("json"), ids=block_id)
def test_json_is_that_of_a_deploy_net(block, tmp_path):
    (tmp_path / "net.json").write_text(block.text)
    assert set(read_json(str(tmp_path / "net.json"))) == {*NEEDED, "resize"}


@pytest.mark.parametrize("block", blocks("mermaid"), ids=block_id)
def test_diagrams_name_files_that_exist(block):
    first, *lines = block.text.splitlines()
    assert first == "flowchart TD"
    node = r'(\w+)(?:\["[^"\]]+"\])?'
    edges = [re.fullmatch(rf'\s*{node} (?:-- "[^"]+" )?--> {node}', line) for line in lines]
    assert all(edges)
    named = set(re.findall(r'(\w+)\["', block.text))
    assert {name for edge in edges for name in edge.groups()} == named
    paths = re.findall(r"[\w/]+\.py", block.text)
    assert len(paths) >= 5
    assert all((ROOT / path).is_file() for path in paths)
