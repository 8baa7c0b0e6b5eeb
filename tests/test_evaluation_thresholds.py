"""The file of thresholds."""

import pytest

from caffe_losses.evaluation import thresholds


def test_thresholds_are_in_the_order_of_the_classes(tmp_path):
    (tmp_path / "t.json").write_text('{"sunset": 0, "sea": 0.35, "été": 1}', encoding="utf-8")
    assert thresholds.read(str(tmp_path / "t.json"), ["sea", "été", "sunset"]) == [0.35, 1, 0]


@pytest.mark.parametrize("text, reason", [
    ("sea 0.35", r't.json is no file of thresholds; expected JSON such as {"sea": 0.35, "dog": 0.5}'),
    ('{"sea": 0.35, "dog": 0.5, "sea": 0.5}', "t.json names ['sea (twice)'], which are no classes"),
    ("[0.35, 0.5]", "t.json is no file of thresholds"),
    ('{"sea": 0.35}', "t.json has none for ['dog']; give one threshold for each of the 2 classes"),
    ('{"sea": 0.35, "dog": 0.5, "cat": 0.5}', "t.json names ['cat'], which are no classes"),
    ('{"sea": 0.35, "dog": 1.5}', "t.json: expected a probability for dog, got 1.5"),
    ('{"sea": 0.35, "dog": NaN}', "t.json: expected a probability for dog, got NaN"),
    ('{"sea": 0.35, "dog": true}', "t.json: expected a probability for dog, got true"),
    ('{"sea": 0.35, "dog": "0.5"}', 't.json: expected a probability for dog, got "0.5"'),
])  # fmt: skip
def test_what_is_refused(tmp_path, monkeypatch, text, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(ValueError) as refusal:
        thresholds.read("t.json", ["sea", "dog"])
    assert str(refusal.value).startswith(reason)
