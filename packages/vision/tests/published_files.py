"""Functions that write small folders in the layout of published datasets."""

from __future__ import annotations

import bz2
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import io, sparse

OBJECT = "<object><name>{name}</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>4</ymax></bndbox></object>"
COCO = {
    "info": {},
    "images": [{"id": 9, "file_name": "b.jpg"}, {"id": 4, "file_name": "a.jpg"}],
    "categories": [
        {"id": 1, "name": "person", "supercategory": "person"},
        {"id": 17, "name": "cat", "supercategory": "animal"},
    ],
    "annotations": [
        {"id": 1, "image_id": 9, "category_id": 17, "bbox": [1, 2, 3, 2], "area": 6.0, "iscrowd": 0, "caption": "Cat."},
        {"id": 2, "image_id": 9, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16.0, "iscrowd": 1, "caption": "Man."},
    ],
}


def paint(path: Path, shade: int, mode: str = "RGB") -> None:
    """Write an 8x6 image of one shade as PNG, whatever the file's extension."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 6), (shade,) * 3 if mode == "RGB" else shade).save(path, "PNG")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def idx(array: np.ndarray, code: int = 0x08) -> bytes:
    """Return the bytes of an idx file of uint8 (8) or int32 (0x0C) elements."""
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype({0x08: "u1", 0x0C: ">i4"}[code]).tobytes()


def save_mat(path: Path, **content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    io.savemat(path, content)


def svhn(root: Path) -> None:
    images = np.full((32, 32, 3, 2), 7, np.uint8) + np.array([0, 1], np.uint8)
    save_mat(root / "test_32x32.mat", X=images, y=np.array([[5], [10]]))


def stl10(root: Path) -> None:
    folder = root / "stl10_binary"
    folder.mkdir()
    for part, shades in (("train", (1, 2, 3)), ("unlabeled", (8,))):
        np.concatenate([np.full(3 * 96 * 96, shade, np.uint8) for shade in shades]).tofile(folder / f"{part}_X.bin")
    np.array([4, 5, 6], np.uint8).tofile(folder / "train_y.bin")
    write(folder / "fold_indices.txt", "2 0\n1\n")
    write(folder / "class_names.txt", "airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n")


def usps(root: Path) -> None:
    lines = [
        f"{label} " + " ".join(f"{number}:{value}" for number in range(1, 257)) for label, value in ((1, -1), (10, 1))
    ]
    (root / "usps.t.bz2").write_bytes(bz2.compress("\n".join(lines).encode()))


def semeion(root: Path) -> None:
    rows = [np.concatenate([np.full(256, shade), np.eye(10)[label]]) for shade, label in ((0, 3), (1, 9))]
    np.savetxt(root / "semeion.data", rows, fmt="%g")


def flowers102(root: Path) -> None:
    folder = root / "flowers-102"
    for number in (1, 2, 3):
        paint(folder / "jpg" / f"image_{number:05d}.jpg", number)
    save_mat(folder / "imagelabels.mat", labels=np.array([[77, 1, 102]]))
    save_mat(folder / "setid.mat", trnid=np.array([[3, 1]]), valid=np.array([[2]]), tstid=np.array([[1]]))


def food101(root: Path) -> None:
    for number, name in enumerate(("waffles/1", "waffles/2", "pizza/3")):
        paint(root / "food-101" / "images" / f"{name}.jpg", number)
    listing = {"waffles": ["waffles/1", "waffles/2"], "pizza": ["pizza/3"]}
    write(root / "food-101" / "meta" / "train.json", json.dumps(listing))


def dtd(root: Path) -> None:
    paint(root / "dtd/dtd/images/woven/a.jpg", 1)
    paint(root / "dtd/dtd/images/dotted/b.jpg", 2)
    write(root / "dtd/dtd/labels/val3.txt", "woven/a.jpg\ndotted/b.jpg\n")


def fgvc_aircraft(root: Path) -> None:
    data = root / "fgvc-aircraft-2013b" / "data"
    paint(data / "images" / "001.jpg", 1)
    paint(data / "images" / "002.jpg", 2)
    write(data / "families.txt", "A300\nBoeing 707\n")
    write(data / "images_family_test.txt", "002 Boeing 707\n001 A300\n")


def stanford_cars(root: Path) -> None:
    folder = root / "stanford_cars"
    for number in (1, 2):
        paint(folder / "cars_train" / f"{number}.jpg", number)
    save_mat(folder / "devkit" / "cars_meta.mat", class_names=np.array([["AM General", "Acura RL"]], dtype=object))
    kind = [("class", "O"), ("fname", "O")]
    annotations = np.array([[(2, "1.jpg"), (1, "2.jpg")]], dtype=kind)
    save_mat(folder / "devkit" / "cars_train_annos.mat", annotations=annotations)


def gtsrb(root: Path) -> None:
    paint(root / "gtsrb/GTSRB/Training/00000/a.ppm", 1)
    paint(root / "gtsrb/GTSRB/Training/00001/b.ppm", 2)
    paint(root / "gtsrb/GTSRB/Final_Test/Images/00000.ppm", 3)
    write(root / "gtsrb/GT-final_test.csv", "Filename;Width;ClassId\n00000.ppm;53;16\n")


def eurosat(root: Path) -> None:
    paint(root / "eurosat/2750/Forest/a.jpg", 1)
    paint(root / "eurosat/2750/River/a.jpg", 2)


def country211(root: Path) -> None:
    paint(root / "country211/valid/AD/a.jpg", 1)
    paint(root / "country211/valid/ZW/a.jpg", 2)


def sun397(root: Path) -> None:
    write(root / "SUN397/ClassName.txt", "/a/abbey\n/b/bazaar/indoor\n")
    paint(root / "SUN397/a/abbey/sun_a.jpg", 1)
    paint(root / "SUN397/b/bazaar/indoor/sun_b.jpg", 2)


def rendered_sst2(root: Path) -> None:
    paint(root / "rendered-sst2/valid/negative/1.png", 1)
    paint(root / "rendered-sst2/valid/positive/2.png", 2)


def clevr(root: Path) -> None:
    folder = root / "clevr/CLEVR_v1.0"
    for part in ("train", "test"):
        paint(folder / "images" / part / "a.png", 1)
        paint(folder / "images" / part / "b.png", 2)
    scenes = [{"image_filename": "b.png", "objects": [0]}, {"image_filename": "a.png", "objects": [0, 0, 0]}]
    write(folder / "scenes/CLEVR_train_scenes.json", json.dumps({"scenes": scenes}))


def places365(root: Path) -> None:
    write(root / "categories_places365.txt", "/a/airfield 0\n/a/abbey 1\n")
    write(root / "places365_train_standard.txt", "/a/abbey/1.jpg 1\n/a/airfield/2.jpg 0\n")
    write(root / "places365_test.txt", "3.jpg\n")
    paint(root / "data_256_standard/a/abbey/1.jpg", 1)
    paint(root / "data_256_standard/a/airfield/2.jpg", 2)
    paint(root / "test_large/3.jpg", 3)


def omniglot(root: Path) -> None:
    for number, name in enumerate(("Greek/character01/1", "Greek/character02/1", "Latin/character01/1"), 1):
        paint(root / "omniglot-py/images_background" / f"{name}.png", number)
    write(root / "omniglot-py/images_background.zip", "")


def imagenette(root: Path) -> None:
    paint(root / "imagenette2-160/val/n01440764/a.jpeg", 1)
    paint(root / "imagenette2-160/val/n03888257/b.jpeg", 2)


def caltech101(root: Path) -> None:
    folder = root / "caltech101"
    for number, name in enumerate(("Faces/image_0001", "ant/image_0001", "ant/image_0002"), 1):
        paint(folder / "101_ObjectCategories" / f"{name}.jpg", number)
    paint(folder / "101_ObjectCategories/BACKGROUND_Google/image_0001.jpg", 9)
    outline = np.arange(6.0).reshape(2, 3)
    save_mat(folder / "Annotations/Faces_2/annotation_0001.mat", obj_contour=outline)
    for number in (1, 2):
        save_mat(folder / f"Annotations/ant/annotation_{number:04d}.mat", obj_contour=outline + number)


def caltech256(root: Path) -> None:
    for number, name in enumerate(("001.ak47/001_0001", "002.flag/002_0001", "002.flag/002_0002"), 1):
        paint(root / "caltech256/256_ObjectCategories" / f"{name}.jpg", number)
    write(root / "caltech256/256_ObjectCategories/002.flag/greg", "")


def fer2013(root: Path) -> None:
    pixels = [" ".join([str(shade)] * 48 * 48) for shade in (1, 2, 3)]
    usages = ("Training", "PublicTest", "PrivateTest")
    rows = [f"{label},{usage},{row}" for label, (usage, row) in enumerate(zip(usages, pixels, strict=True))]
    write(root / "fer2013/icml_face_data.csv", "\n".join(["emotion, Usage, pixels", *rows]))


def imagenet(root: Path) -> None:
    import flambeau as fb

    fb.save(({"n01": ("tench", "Tinca tinca"), "n02": ("goldfish",)}, ["n02", "n01"]), root / "meta.bin")
    paint(root / "val/n01/a.JPEG", 1)
    paint(root / "val/n02/b.JPEG", 2)


def lfw(root: Path) -> None:
    for number, name in enumerate(("Ann/Ann_0001", "Ann/Ann_0002", "Bob/Bob_0001"), 1):
        paint(root / "lfw-py/lfw_funneled" / f"{name}.jpg", number)
    write(root / "lfw-py/lfw-names.txt", "Ann\t2\nBob\t1\n")
    write(root / "lfw-py/people.txt", "2\n1\nBob\t1\n1\nAnn\t2\n")
    write(root / "lfw-py/peopleDevTest.txt", "1\nAnn\t2\n")
    write(root / "lfw-py/lfw-funneled.tgz", "")
    write(root / "lfw-py/pairs.txt", "1\t1\nAnn\t1\t2\nAnn\t2\tBob\t1\n")


def moving_mnist(root: Path) -> None:
    frames = np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None, None, None], (20, 3, 64, 64))
    (root / "MovingMNIST").mkdir()
    np.save(root / "MovingMNIST/mnist_test_seq.npy", frames)


def idx_files(folder: Path, prefix: str, labels: list[int]) -> None:
    """Write images and labels in MNIST's format."""
    folder.mkdir(parents=True, exist_ok=True)
    count = len(labels)
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(np.zeros((count, 28, 28), np.uint8)))
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.array(labels, np.uint8)))


def mnist_family(root: Path) -> None:
    """Write datasets in MNIST's format, with the published labels of the first images."""
    for name, labels in (("MNIST", [5, 0, 4]), ("FashionMNIST", [9, 0, 0]), ("KMNIST", [8, 7, 0])):
        for prefix in ("train", "t10k"):
            idx_files(root / name / "raw", prefix, labels)
    idx_files(root / "EMNIST" / "raw", "emnist-letters-train", [23, 7, 16])
    idx_files(root / "QMNIST" / "raw", "qmnist-train", [5])
    metadata = np.array([[5, 4, 0, 0, 5, 0, 0, 0]], np.int32)
    (root / "QMNIST/raw/qmnist-train-labels-idx2-int").write_bytes(idx(metadata, 0x0C))


def cifar(root: Path) -> None:
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    pixels = np.zeros((2, 3072), np.uint8)
    ten, hundred = root / "cifar-10-batches-py", root / "cifar-100-python"
    for folder, files in (
        (ten, [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]),
        (hundred, ["train", "test"]),
    ):
        folder.mkdir()
        content = {"data": pixels, "labels": [3, 8], "fine_labels": [49, 33]}
        for file in files:
            (folder / file).write_bytes(pickle.dumps(content))
    (ten / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    fine = ["mountain" if number == 49 else f"class {number}" for number in range(100)]
    (hundred / "meta").write_bytes(pickle.dumps({"fine_label_names": fine}))


def folders(root: Path) -> None:
    for name in ("cat", "dog"):
        paint(root / "animals" / name / "1.png", 1)
        paint(root / "animals" / name / "2.png", 2)
    write(root / "reviews/negative/1.txt", "Too long.")
    write(root / "reviews/positive/1.txt", "A delight.")


def voc(root: Path) -> None:
    folder = root / "VOCdevkit" / "VOC2012"
    for number, name in ((1, "2007_01"), (2, "2007_02")):
        paint(folder / "JPEGImages" / f"{name}.jpg", number)
        paint(folder / "SegmentationClass" / f"{name}.png", 10 + number, "L")
        inside = "".join(OBJECT.format(name=each) for each in ("cat", "dog")[:number])
        text = f"<annotation><size><width>8</width><depth/></size>{inside}</annotation>"
        write(folder / "Annotations" / f"{name}.xml", text)
    for part in ("Main", "Segmentation"):
        write(folder / "ImageSets" / part / "train.txt", "2007_02\n2007_01\n")


def coco(root: Path) -> None:
    paint(root / "a.jpg", 1)
    paint(root / "b.jpg", 2)
    write(root / "annotations.json", json.dumps(COCO))


def pets(root: Path) -> None:
    folder = root / "oxford-iiit-pet"
    for number, name in ((1, "Abyssinian_100"), (2, "american_bulldog_7")):
        paint(folder / "images" / f"{name}.jpg", number)
        paint(folder / "annotations" / "trimaps" / f"{name}.png", number, "L")
    write(folder / "annotations" / "trainval.txt", "american_bulldog_7 2 2 1\nAbyssinian_100 1 1 1\n")


def celeba(root: Path) -> None:
    folder = root / "celeba"
    for number in (1, 2, 3):
        paint(folder / "img_align_celeba" / f"{number:06d}.jpg", number)

    def table(file: str, heading: str, rows: list[Any]) -> None:
        lines = [f"{number:06d}.jpg  {row}" for number, row in enumerate(rows, 1)]
        write(folder / file, "\n".join([heading, *lines]).lstrip())

    table("list_eval_partition.txt", "", [0, 1, 0])
    table("identity_CelebA.txt", "", [7, 8, 9])
    table("list_attr_celeba.txt", "3\nSmiling Young", ["-1  1", " 1  1", " 1 -1"])
    table("list_bbox_celeba.txt", "3\nimage_id x_1 y_1 width height", ["  1  2  3  4"] * 3)
    table("list_landmarks_align_celeba.txt", "3\nlefteye_x", [" ".join(map(str, range(10)))] * 3)


def cityscapes(root: Path) -> None:
    for part, number in (("train", 1), ("val", 2)):
        paint(root / "leftImg8bit" / part / "bonn" / "bonn_0_leftImg8bit.png", number)
        for kind in ("instanceIds", "labelIds", "color"):
            paint(root / "gtFine" / part / "bonn" / f"bonn_0_gtFine_{kind}.png", 20 + number, "L")
        write(root / "gtFine" / part / "bonn" / "bonn_0_gtFine_polygons.json", json.dumps({"objects": [number]}))


def sbd(root: Path) -> None:
    paint(root / "img" / "a.jpg", 1)
    write(root / "train.txt", "a\n")
    (root / "cls").mkdir()
    edges = np.empty((20, 1), dtype=object)
    for number in range(20):
        edges[number, 0] = sparse.csc_matrix(np.full((6, 8), number, np.uint8))
    io.savemat(root / "cls" / "a.mat", {"GTcls": {"Segmentation": np.full((6, 8), 5, np.uint8), "Boundaries": edges}})


def kitti(root: Path) -> None:
    raw = root / "Kitti" / "raw"
    for part in ("training", "testing"):
        paint(raw / part / "image_2" / "000000.png", 1)
    write(raw / "training" / "label_2" / "000000.txt", "Car 0.50 1 -1.5 1 2 3 4 1.5 1.6 1.7 0 1 2 0.25\n")


def widerface(root: Path) -> None:
    folder = root / "widerface"
    for part in ("train", "val", "test"):
        paint(folder / f"WIDER_{part}" / "images" / "0--Parade" / "a.jpg", 1)
        paint(folder / f"WIDER_{part}" / "images" / "0--Parade" / "b.jpg", 2)
    faces = "0--Parade/b.jpg\n2\n1 2 3 4 0 1 0 2 0 0 \n5 6 7 8 1 0 1 0 1 0 \n0--Parade/a.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n"
    write(folder / "wider_face_split" / "wider_face_train_bbx_gt.txt", faces)
    write(folder / "wider_face_split" / "wider_face_test_filelist.txt", "0--Parade/a.jpg\n")


def flickr(root: Path) -> None:
    paint(root / "12_ab.jpg", 1)
    write(root / "sentences.token", "12_ab.jpg#0\tA man .\n12_ab.jpg#1\tA dog .\n")
    link = '<a href="https://flickr.com/photos/x/12/">https://flickr.com/photos/x/12/</a>'
    listed = f"<html>Photos<table><tr><td>{link}<ul><li>A man . </li><li>A dog .</li></ul></td></tr>"
    write(root / "page.html", listed + "<tr><td>Image Not Found<ul><li>Nothing</li></ul></td></tr></table></html>")


_IN_ONE_FOLDER = (
    *(caltech101, caltech256, celeba, cifar, clevr, country211, dtd, eurosat, fer2013, fgvc_aircraft, flowers102),
    *(folders, food101, gtsrb, imagenette, kitti, lfw, mnist_family, moving_mnist, omniglot, pets, rendered_sst2),
    *(semeion, stanford_cars, stl10, sun397, svhn, usps, voc, widerface),
)
_IN_FOLDERS = {
    "cityscapes": cityscapes, "coco": coco, "flickr": flickr, "imagenet": imagenet, "places365": places365, "sbd": sbd,
}  # fmt: skip


def every_dataset(root: Path) -> None:
    """Write the files of each dataset, where the examples in docstrings expect them."""
    root.mkdir()
    for build in _IN_ONE_FOLDER:
        build(root)
    for name, build in _IN_FOLDERS.items():
        (root / name).mkdir()
        build(root / name)
