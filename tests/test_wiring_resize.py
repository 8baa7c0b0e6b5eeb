"""Another number of classes."""

from rewiring import DATA, FC, LOSS, layer, refused, wire


def test_resizing():
    conv = layer("c", "Convolution", "data", "c", "convolution_param { num_output: 10 kernel_size: 1 group: 2 }")
    conv += layer("r", "ReLU", "c", "c") + layer("pool", "Pooling", "c", "fc", "pooling_param { global_pooling: true }")
    net, lines = wire(DATA + conv + LOSS, num_classes=4)
    assert net["c_4"].convolution_param.num_output == 4 and net["c_4"].top == ["c"]
    assert "does not exist" not in " ".join(lines) and "c: 10 -> 4 outputs" in lines
    assert "has 2 groups, which do not divide 3" in refused(DATA + conv + LOSS, num_classes=3)
    net, lines = wire(DATA + FC + LOSS, num_classes=5)
    assert net["fc"].inner_product_param.num_output == 5 and "so that pretrained weights load" in lines[0]
    batch_norm = FC.replace('top: "fc"', 'top: "f"') + layer("bn", "BatchNorm", "f", "fc")
    assert "its scores come through bn (BatchNorm)" in refused(DATA + batch_norm + LOSS, num_classes=3)
    taken = layer("more", "InnerProduct", "fc", "more", "inner_product_param { num_output: 2 }")
    assert "feeds more (InnerProduct) too" in refused(DATA + FC + taken + LOSS, num_classes=3)
    shared = FC.replace("inner_product", 'param { name: "w" } inner_product')
    sharing = shared.replace('"fc"', '"twin"')
    assert "fc shares its weights by name with twin" in refused(DATA + shared + sharing + LOSS, num_classes=3)
    assert wire(DATA + shared + LOSS, num_classes=3)[0]["fc_3"].param[0].name == "w"
    frozen = FC.replace("inner_product", "param { lr_mult: 0 } inner_product")
    assert "fc: its lr_mult is 0, so that it does not train" in wire(DATA + frozen + LOSS, num_classes=3)[1]
    assert wire(DATA + FC + LOSS + FC.replace('"fc"', '"fc_3"', 1).replace('top: "fc"', 'top: "x"'), num_classes=3)[0][
        "fc_3_"
    ]
