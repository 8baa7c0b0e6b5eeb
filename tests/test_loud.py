"""What ends a layer is printed, too, by a program that embeds Python and does not print it itself."""

import sys

import pytest

from caffe_losses.layers import loud


class Layer:
    def setup(self, bottom, top):
        raise ValueError("Layer: expected a bottom, got none; give one")

    def reshape(self, bottom, top):
        return "reshaped"

    forward = backward = reshape


@pytest.mark.parametrize("arguments, printed", [([""], True), ([], True), (None, True), (["train.py"], False)])
def test_errors_are_printed_where_python_is_embedded(arguments, printed, monkeypatch, capsys):
    if arguments is None:
        monkeypatch.delattr(sys, "argv")
    else:
        monkeypatch.setattr(sys, "argv", arguments)
    layer = loud.loud(type("Own", (Layer,), {}))()
    with pytest.raises(ValueError, match="give one"):
        layer.setup([], [])
    assert layer.reshape([], []) == "reshaped"
    text = "ValueError: Layer: expected a bottom, got none; give one\n" if printed else ""
    assert capsys.readouterr().err == text
