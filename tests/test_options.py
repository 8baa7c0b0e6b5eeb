import os

import numpy as np
import pytest

from caffe_losses import data, losses, metrics
from caffe_losses.losses.options import LABEL_SMOOTHING, NORMALIZATION
from caffe_losses.options import REQUIRED, Option, at_least, checked, parse

LOSSES = [getattr(losses, name) for name in losses.__all__]


@pytest.mark.parametrize("text, params", [
    ("", {}),
    ("  ", {}),
    ('{"axis": 2, "ignore_label": null}', {"axis": 2, "ignore_label": None}),
    ("{'axis': 2, 'class_weight': [1, 2.5]}", {"axis": 2, "class_weight": [1, 2.5]}),
    ("{}", {}),
])  # fmt: skip
def test_param_str_is_json_or_a_python_literal(text, params):
    assert parse("Loss", text) == params


@pytest.mark.parametrize(
    "text", ["[]", "1", "axis: 1", "{", "dict(axis=1)", "{'axis': axis}", "[" * 10**5, '"x"', "\0"]
)
def test_other_param_strs_are_refused_in_one_line(text):
    with pytest.raises(ValueError, match="Loss: expected param_str to be a JSON object or a Python dict") as error:
        parse("Loss", text)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("text", ['{"axis": 1, "axis": 2}', "{'axis': 1, 'axis': 0}"])
def test_a_parameter_given_twice_is_refused(text):
    with pytest.raises(ValueError, match=r"got 'axis \(twice\)'; remove it"):
        losses.MultiLabelSoftmaxLoss(**parse("Loss", text))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_unknown_parameters_name_the_allowed_ones(loss):
    with pytest.raises(ValueError, match=f"^{loss.__name__}: expected parameters among axis, ") as error:
        loss(momentum=1)
    assert str(error.value).endswith("got 'momentum'; remove it")


OWNERS = {loss.name(): (*loss.options, *loss.of_calls) for loss in LOSSES}
OWNERS.update(MultiLabelMetrics=metrics.OPTIONS, MultiLabelImageData=data.OPTIONS)
each_owner = pytest.mark.parametrize("owner, options", list(OWNERS.items()), ids=OWNERS)


@each_owner
def test_values_outside_an_options_domain_are_refused(owner, options):
    for option in options:
        for bad in option.domain.invalid:
            with pytest.raises(ValueError, match=f"^{owner}: {option.name} must be ") as error:
                checked(owner, [option], {option.name: bad})
            assert option.domain.text in str(error.value)
            assert len(str(error.value).splitlines()) == 1


@each_owner
def test_defaults_and_values_to_test_with_lie_in_their_domains(owner, options):
    for option in options:
        for value in (*option.domain.valid, *option.tried):
            checked(owner, [option], {option.name: value})
        if option.default is not REQUIRED:
            option.domain.convert(option.default)
        assert option.meaning.endswith(".")
        assert option.domain.text


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_options_of_losses_have_types_and_values_to_test_with(loss):
    for option in (*loss.options, *loss.of_calls):
        assert option.domain.type != "Any", f"{option.name}: give its Domain a type"
        assert option.domain.invalid, f"{option.name}: give its Domain values that are refused"
        assert set(map(str, option.values())) - {str(option.default)}, f"{option.name}: give it values to be tried"


@pytest.mark.parametrize("value", [np.ones((2, 3)), "a\nb", ["x" * 100], np.zeros((9, 9))], ids=lambda v: str(v)[:9])
def test_a_refused_value_is_shown_in_a_short_line(value):
    with pytest.raises(ValueError, match=r"^HillLoss: class_weight must be .*, got ") as error:
        losses.HillLoss(class_weight=value)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 300


def test_bounds_are_what_they_say():
    assert checked("Loss", [LABEL_SMOOTHING], {"label_smoothing": 0})["label_smoothing"] == 0
    with pytest.raises(ValueError, match=r"a number in \[0, 1\), got 1"):
        checked("Loss", [LABEL_SMOOTHING], {"label_smoothing": 1})
    assert checked("Loss", [NORMALIZATION], {}) == {"normalization": "VALID"}


def test_a_required_option_says_so():
    size = Option("size", REQUIRED, at_least(1), "Images in a batch.")
    assert checked("Layer", [size], {"size": 2}) == {"size": 2}
    with pytest.raises(
        ValueError, match=r"^Layer: size is required, got none; give a whole number >= 1\. Images in a batch\.$"
    ):
        checked("Layer", [size], {})
    for bad in (0, None):
        with pytest.raises(ValueError, match=f"^Layer: size must be a whole number >= 1, got {bad}; it is required$"):
            checked("Layer", [size], {"size": bad})
    with pytest.raises(ValueError, match="did you mean size"):
        checked("Layer", [size], {"sise": 2})


@pytest.mark.parametrize("suffix", [".npy", ".txt"])
def test_class_weights_from_a_file(tmp_path, suffix):
    path = str(tmp_path / ("weights" + suffix))
    (np.save if suffix == ".npy" else np.savetxt)(path, [0.5, 2.0, 3.0])
    assert losses.MultiLabelSoftmaxLoss(class_weight=path).class_weight.tolist() == [0.5, 2, 3]


@pytest.mark.parametrize("content", [b"", b"1 2\n3 x\n", b"-1\n", b"nan\n", b"\x93NUMPY garbage"])
def test_bad_weight_files_are_refused(tmp_path, content):
    for suffix in (".npy", ".txt"):
        path = tmp_path / ("weights" + suffix)
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"class_weight must be a number in \[0, 1e6\], a list of one a class, or the name"
        ):
            losses.MultiLabelSoftmaxLoss(class_weight=str(path))


def test_weights_are_not_waited_for(tmp_path):
    for name in ("weights.npy", "weights.txt"):
        os.mkfifo(str(tmp_path / name))
        with pytest.raises(ValueError, match="is a FIFO; expected a file"):
            losses.MultiLabelSoftmaxLoss(class_weight=str(tmp_path / name))


def test_pickled_weights_are_not_loaded(tmp_path):
    path = str(tmp_path / "weights.npy")
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="class_weight must be"):
        losses.MultiLabelSoftmaxLoss(class_weight=path)
