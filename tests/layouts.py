"""Small data sets in the layouts of COCO, Pascal VOC and CelebA."""

import json

import cv2
from pictures import picture, write_pictures

CELEBA = "3\nSmiling Young  Bald \n0.png  1 -1  1\n1.png -1 -1 -1\n2.png -1  1 -1\n"


def coco_document():
    """Categories with spaces, numbers with gaps, a crowd, and a picture without annotations."""
    return {
        "info": {},
        "images": [{"id": k, "file_name": f"{k}.png", "height": 12} for k in (2, 0, 1, 3)],
        "categories": [{"id": 18, "name": "traffic light"}, {"id": 3, "name": "dog"}, {"id": 90, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 2, "category_id": 3, "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 3, "iscrowd": 0},
            {"id": 3, "image_id": 2, "category_id": 18, "iscrowd": 0},
            {"id": 4, "image_id": 0, "category_id": 3, "iscrowd": 1},
            {"id": 5, "image_id": 1, "category_id": 3, "iscrowd": 1},
            {"id": 6, "image_id": 1, "category_id": 3},
        ],
    }


def write_voc(folder, parts, class_files=()):
    """A VOC folder. parts: {set: {picture: [(name, difficult), ...]}}"""
    for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / name).mkdir(parents=True)
    for part, annotations in parts.items():
        (folder / f"ImageSets/Main/{part}.txt").write_text("".join(f"{name}\n" for name in annotations))
        for name in class_files:
            (folder / f"ImageSets/Main/{name}_{part}.txt").write_text("")
        for name, objects in annotations.items():
            items = "".join(
                f"<object><name>{label}</name>{difficult}<part><name>head</name></part></object>"
                for label, difficult in objects
            )
            text = f"<annotation>\n<filename>{name}.jpg</filename>\n{items}\n</annotation>"
            (folder / f"Annotations/{name}.xml").write_text(text)
            cv2.imwrite(str(folder / f"JPEGImages/{name}.jpg"), picture(sum(map(ord, name))))


def write(folder):
    """All three, under the names that docs/data.md has: two sets each, and one picture in the second."""
    train, test = coco_document(), coco_document()
    test["images"], test["annotations"] = test["images"][:1], test["annotations"][:1]
    (folder / "annotations").mkdir()
    for name, document in (("train", train), ("val", test)):
        (folder / f"annotations/instances_{name}2017.json").write_text(json.dumps(document))
    for name in ("train2017", "val2017", "img_align_celeba"):
        (folder / name).mkdir()
        write_pictures(folder / name, 4)
    sets = {"train": {"a_1": [("dog", ""), ("cat", "")]}, "val": {"b_1": [("dog", "")]}}
    write_voc(folder / "VOCdevkit/VOC2012", sets, ["bird", "cat", "dog"])
    (folder / "list_attr_celeba.txt").write_text(CELEBA)
    (folder / "list_eval_partition.txt").write_text("0.png 0\n1.png 0\n2.png 2\n")
