"""Encodings of a prototxt, and fields of another Caffe."""

import os

import pytest
from rewiring import DATA, FC, LOSS, command, parsed

from caffe_losses.net import prototxt
from caffe_losses.net.source_text import without_field

ENCODED = [("网络 \\ {", "gbk"), ("Größe", "latin-1"), ("网络", "utf-8"), ("x", "utf-8-sig")]


@pytest.mark.parametrize("comment, encoding", ENCODED)
def test_comments_may_be_in_any_encoding(tmp_path, comment, encoding):
    text = f"# {comment}\n" + DATA.replace("top:", f"top: # {comment} top\n", 1) + FC + LOSS
    (tmp_path / "net.prototxt").write_bytes(text.encode(encoding))
    assert prototxt.read(str(tmp_path / "net.prototxt")).net == parsed(DATA + FC + LOSS)


def test_names_have_to_be_utf_8(tmp_path):
    (tmp_path / "net.prototxt").write_bytes(("\n" + FC.replace('"fc"', '"é#"', 1)).encode("latin-1"))
    with pytest.raises(
        ValueError, match=r"^\S+net.prototxt, line 2: expected UTF-8, got other bytes; save the file as"
    ):
        prototxt.read(str(tmp_path / "net.prototxt"))
    (tmp_path / "net.prototxt").write_text(FC.replace('"fc"', '"é"', 1), encoding="utf-8")
    assert prototxt.read(str(tmp_path / "net.prototxt")).net.layer[0].name == "é"


def test_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(str(tmp_path / "fifo"))
    for name, what in (("fifo", "a FIFO"), ("", "a folder")):
        with pytest.raises(ValueError, match=f" is {what}; expected a file$"):
            prototxt.read(str(tmp_path / name))


@pytest.mark.parametrize("field, value", [
    ("label_dim: 5", "5"),
    ("label_dim:5", "5"),
    ("many: [1, 2] ", "[1, 2]"),
    ("name_of: 'a } b' \"c\"", "'a } b' \"c\""),
    ("sub { a: 1 b { c: '}' } }", "{ a: 1 b { c: '}' } }"),
    ("sub: < a: 1 >", "< a: 1 >"),
    ("sub # }\n { # {\n a: 1 }", "# } { # { a: 1 }"),
])  # fmt: skip
def test_fields_of_another_caffe_are_left_out_and_told(tmp_path, field, value):
    name = field.replace(":", " ").split()[0]
    text = "# layer { }\n" + FC + DATA.replace("hdf5_data_param {", f"hdf5_data_param {{ {field} ", 1) + LOSS
    (tmp_path / "net.prototxt").write_text(text)
    file, foreign = prototxt.read_foreign(str(tmp_path / "net.prototxt"))
    assert file.net == parsed(FC + DATA + LOSS)
    assert foreign == {"data": {f"HDF5DataParameter {name}": value}}
    with pytest.raises(ValueError, match=rf'has no field named "{name}". If it is a field of another Caffe, take'):
        prototxt.read(str(tmp_path / "net.prototxt"))


def test_the_place_of_a_field():
    assert without_field("layer { }\nlayer { a: 1 }", 2, 9) == ("layer { }\nlayer {      }", 1, "1")
    assert without_field("a: 1 layer { }", 1, 1)[1] is None


def test_a_field_of_the_net_itself_is_refused(tmp_path):
    (tmp_path / "net.prototxt").write_text("quantize: true\n" + DATA + FC + LOSS)
    with pytest.raises(ValueError, match=r'is not a net: 1:1 : Message type "caffe.NetParameter" has no field'):
        prototxt.read_foreign(str(tmp_path / "net.prototxt"))


@pytest.mark.slow
def test_of_an_older_format(tmp_path, capsys):
    old = """
    layers { name: "data" type: IMAGE_DATA top: "data" top: "label"
      image_data_param { source: "x" batch_size: 2 new_height: 8 new_width: 8 labels_num: 3 } }
    layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" inner_product_param { num_output: 3 } }
    layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc" bottom: "label" top: "loss" }
    """
    (tmp_path / "old.prototxt").write_text(old)
    options = ["--loss", "MultiLabelSoftmaxLoss", "--image-list", "a.csv", "b.csv", "--num-classes", 3]
    with pytest.raises(ValueError, match=r"^layer data reads for both phases; give the same source twice$"):
        command("wire", tmp_path / "old.prototxt", "-o", tmp_path / "new.prototxt", *options)
    options[3] = "b.csv"
    assert command("wire", tmp_path / "old.prototxt", "-o", tmp_path / "new.prototxt", *options) == 0
    assert "data: labels_num 3 dropped: MultiLabelImageData has no such parameter" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"^layer data \(ImageData\): ImageDataParameter has no field labels_num in"):
        command("wire", tmp_path / "old.prototxt", "-o", tmp_path / "new.prototxt", *options[:2])
