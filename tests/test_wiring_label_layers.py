"""Layers that read label vectors beside those that read images."""

import caffe
from rewiring import DATA, FC, LOSS, layer, parsed, refused, wire

from caffe_losses import wiring


def test_label_sources():
    """Beside each data layer, in its phase and with its batch; nothing shuffles one without the other."""
    image = layer("im", "ImageData", "", "data label", 'include {{ phase: {0} }} image_data_param {{ source: "{0}" }}')
    image = image.replace("source:", "shuffle: true batch_size: 6 source:").replace("{{", "{").replace("}}", "}")
    both = image.replace("{0}", "TRAIN") + image.replace("{0}", "TEST")
    net, lines = wiring.wire(parsed(both + FC + LOSS), "MultiLabelSoftmaxLoss", sources=["a", "b.txt"], labels="label")
    kinds = [(one.type, list(one.top), one.include[0].phase) for one in net.layer[:6]]
    assert kinds == [
        (kind, top, phase)
        for phase, label in [(caffe.TRAIN, "Data"), (caffe.TEST, "HDF5Data")]
        for kind, top in [("ImageData", ["data", "label_single"]), (label, ["label"]), ("Silence", [])]
    ]
    assert [net.layer[1].data_param.batch_size, net.layer[4].hdf5_data_param.batch_size] == [6, 6]
    assert not any(one.image_data_param.shuffle for one in net.layer)
    assert sum("shuffle off" in line for line in lines) == 1
    train = image.replace("{0}", "TRAIN")
    assert wire(train + FC + LOSS, sources=["a"])[0]["labels"].data_param.source == "a"
    assert wire(train + FC + LOSS, sources=["a", "b"])[0]["labels"].data_param.source == "a"
    assert "give a source for TRAIN and one for TEST" in refused(both + FC + LOSS, sources=["a"])
    assert "give the same source twice" in refused(DATA + FC + LOSS, sources=["a", "b"])
    assert "makes data already" in refused(train + FC + LOSS, sources=["a"], labels="data")
    inputs = layer("data", "Input", "", "data label")
    assert "(Input) has no batch size to follow" in refused(inputs + FC + LOSS, sources=["a", "a"])
