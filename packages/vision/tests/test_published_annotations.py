"""Datasets of images with more than a class, from small folders that are laid out as the published ones."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import io, sparse

from flambeau.vision import datasets

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


def shade(image: Image.Image) -> int:
    pixels = np.asarray(image)
    assert pixels.min() == pixels.max()
    return int(pixels.max())


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


def test_voc(tmp_path: Path) -> None:
    voc(tmp_path)
    masks = datasets.VOCSegmentation(tmp_path, transforms=lambda image, mask: (shade(image), (mask.mode, shade(mask))))
    assert [masks[i] for i in range(len(masks))] == [(2, ("L", 12)), (1, ("L", 11))]
    boxes = datasets.VOCDetection(tmp_path, transform=shade)
    box = {"xmin": "1", "ymin": "2", "xmax": "5", "ymax": "4"}
    cat, dog = ({"name": name, "bndbox": box} for name in ("cat", "dog"))
    # An element with neither text nor children has no place in the dictionary.
    assert boxes[0] == (2, {"annotation": {"size": {"width": "8"}, "object": [cat, dog]}})
    assert boxes[1] == (1, {"annotation": {"size": {"width": "8"}, "object": [cat]}})
    with pytest.raises(ValueError, match="Unknown value 'test' for argument image_set"):
        datasets.VOCDetection(tmp_path, image_set="test")
    with pytest.raises(RuntimeError, match=r"VOCDetection: .*VOC2007/ImageSets/Main/test.txt is not there"):
        datasets.VOCDetection(tmp_path, year="2007", image_set="test")


def test_coco(tmp_path: Path) -> None:
    coco(tmp_path)
    dataset = datasets.CocoDetection(tmp_path, tmp_path / "annotations.json", transform=shade)
    assert dataset.ids == [4, 9] and dataset[0] == (1, []) and dataset[1] == (2, COCO["annotations"])
    with pytest.raises(ValueError, match="Index must be of type integer, got <class 'slice'>"):
        dataset[0:1]
    captions = datasets.CocoCaptions(tmp_path, tmp_path / "annotations.json", target_transform=tuple)
    assert captions[1][1] == ("Cat.", "Man.")
    write(tmp_path / "other.json", "[]")
    with pytest.raises(ValueError, match="holds no annotations of COCO"):
        datasets.CocoDetection(tmp_path, tmp_path / "other.json")


def test_annotations_of_coco_by_what_is_asked(tmp_path: Path) -> None:
    coco(tmp_path)
    found = datasets.CocoDetection(tmp_path, tmp_path / "annotations.json").coco
    assert found.getAnnIds() == [1, 2] and found.getAnnIds(4) == [] and found.getAnnIds([9], catIds=[17]) == [1]
    assert found.getAnnIds(iscrowd=True) == [2] and found.getAnnIds(areaRng=[0, 10]) == [1]
    assert found.getCatIds() == [1, 17] and found.getCatIds("cat") == [17] and found.getCatIds(supNms="animal") == [17]
    assert found.getImgIds() == [4, 9] and found.getImgIds(catIds=[1, 17]) == [9] and found.getImgIds(4, 1) == []
    assert found.loadCats([17])[0]["name"] == "cat" and found.loadImgs(4)[0]["file_name"] == "a.jpg"
    assert [each["id"] for each in found.loadAnns([2, 1])] == [2, 1] and len(found.imgToAnns[9]) == 2


def test_pets(tmp_path: Path) -> None:
    pets(tmp_path)
    dataset = datasets.OxfordIIITPet(tmp_path, transform=shade)
    assert [dataset[0], dataset[1]] == [(2, 1), (1, 0)]
    assert dataset.classes == ["Abyssinian", "American Bulldog"]
    kinds = ["binary-category", "segmentation", "category"]
    _, (kind, mask, breed) = datasets.OxfordIIITPet(tmp_path, target_types=kinds)[0]
    assert (kind, shade(mask), breed) == (1, 2, 1)
    with pytest.raises(ValueError, match="Unknown value 'breed' for argument target_types"):
        datasets.OxfordIIITPet(tmp_path, target_types=["breed"])


def test_celebrities(tmp_path: Path) -> None:
    celeba(tmp_path)
    dataset = datasets.CelebA(tmp_path, target_type=["attr", "identity", "bbox", "landmarks"], transform=shade)
    assert len(dataset) == 2 and dataset.filename == ["000001.jpg", "000003.jpg"]
    image, (attributes, person, box, points) = dataset[1]
    assert image == 3 and attributes.tolist() == [1, 0] and person.item() == 9 and box.tolist() == [1, 2, 3, 4]
    assert points.tolist() == list(range(10)) and dataset.attr_names == ["Smiling", "Young"]
    assert len(datasets.CelebA(tmp_path, split="all")) == 3
    assert datasets.CelebA(tmp_path, split="Valid", target_type=[])[0][1] is None
    with pytest.raises(RuntimeError, match="target_transform is specified but target_type is empty"):
        datasets.CelebA(tmp_path, target_type=[], target_transform=len)


def test_streets(tmp_path: Path) -> None:
    cityscapes(tmp_path)
    dataset = datasets.Cityscapes(tmp_path, "val", target_type=["semantic", "polygon"])
    image, (mask, polygons) = dataset[0]
    assert len(dataset) == 1 and (shade(image), shade(mask), polygons) == (2, 22, {"objects": [2]})
    assert datasets.Cityscapes.classes[7].name == "road" and len(datasets.Cityscapes.classes) == 35
    with pytest.raises(ValueError, match="'train_extra' for argument split if mode is 'fine'"):
        datasets.Cityscapes(tmp_path, "train_extra")
    with pytest.raises(RuntimeError, match=r"Cityscapes: .*leftImg8bit/test is not there.*cityscapes-dataset"):
        datasets.Cityscapes(tmp_path, "test")


def test_streets_are_unpacked(tmp_path: Path) -> None:
    cityscapes(tmp_path / "made")
    for name, part in (("leftImg8bit_trainvaltest", "leftImg8bit"), ("gtFine_trainvaltest", "gtFine")):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as packed:
            for path in (tmp_path / "made" / part).rglob("*.*"):
                packed.write(path, path.relative_to(tmp_path / "made"))
    assert shade(datasets.Cityscapes(tmp_path)[0][1]) == 21


def test_boundaries(tmp_path: Path) -> None:
    sbd(tmp_path)
    image, edges = datasets.SBDataset(tmp_path)[0]
    assert shade(image) == 1 and edges.shape == (20, 6, 8) and (edges[19] == 19).all()
    assert shade(datasets.SBDataset(tmp_path, mode="segmentation")[0][1]) == 5


def test_roads(tmp_path: Path) -> None:
    kitti(tmp_path)
    _, (car,) = datasets.Kitti(tmp_path)[0]
    assert (car["type"], car["truncated"], car["occluded"], car["alpha"]) == ("Car", 0.5, 1, -1.5)
    assert car["bbox"] == [1, 2, 3, 4] and car["dimensions"] == [1.5, 1.6, 1.7] and car["location"] == [0, 1, 2]
    assert car["rotation_y"] == 0.25 and datasets.Kitti(tmp_path, train=False)[0][1] is None


def test_crowds(tmp_path: Path) -> None:
    widerface(tmp_path)
    dataset = datasets.WIDERFace(tmp_path, transform=shade)
    image, faces = dataset[0]
    assert len(dataset) == 2 and image == 2 and faces["bbox"].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert faces["expression"].tolist() == [1, 0] and faces["occlusion"].tolist() == [2, 0]
    assert dataset[1][1]["bbox"].tolist() == [[0, 0, 0, 0]]
    assert datasets.WIDERFace(tmp_path, "test")[0][1] is None
    write(
        tmp_path / "widerface/wider_face_split/wider_face_val_bbx_gt.txt", "0--Parade/a.jpg\n2\n1 2 3 4 0 0 0 0 0 0\n"
    )
    with pytest.raises(ValueError, match=r"is damaged: the faces of 0--Parade/a\.jpg are not there"):
        datasets.WIDERFace(tmp_path, "val")


@pytest.mark.parametrize(("kind", "file"), [("Flickr30k", "sentences.token"), ("Flickr8k", "page.html")])
def test_sentences(kind: str, file: str, tmp_path: Path) -> None:
    flickr(tmp_path)
    dataset = getattr(datasets, kind)(tmp_path, tmp_path / file, transform=shade)
    assert len(dataset) == 1 and dataset[0] == (1, ["A man .", "A dog ."])


@pytest.mark.parametrize(
    "make",
    [
        lambda root: datasets.OxfordIIITPet(root),
        lambda root: datasets.CelebA(root),
        lambda root: datasets.SBDataset(root),
        lambda root: datasets.Kitti(root),
        lambda root: datasets.WIDERFace(root),
        lambda root: datasets.VOCSegmentation(root),
    ],
)
def test_what_is_not_there_is_named(make: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^Dataset not found\. \w+: .* is not there. You can use download=True"):
        make(tmp_path)


def test_archives_are_fetched_and_checked(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flambeau.vision.datasets import kitti as module
    from flambeau.vision.datasets.utils import calculate_md5

    kitti(tmp_path / "made")
    raw = tmp_path / "made" / "Kitti" / "raw"
    files = []
    for part in ("image", "label"):
        archive = tmp_path / f"{part}.zip"
        with zipfile.ZipFile(archive, "w") as packed:
            for path in sorted(raw.glob(f"*/{part}_2/*")):
                packed.write(path, path.relative_to(raw))
        server.files[archive.name] = archive.read_bytes()
        files.append(module.Published(f"{server.url}/{archive.name}", calculate_md5(archive)))
    monkeypatch.setattr(module, "_FILES", files)
    for _ in range(2):
        assert len(datasets.Kitti(tmp_path / "fetched", download=True)) == 1
    assert [name for name, _ in server.requests] == ["image.zip", "label.zip"]
    monkeypatch.setattr(module, "_FILES", [files[0]._replace(md5=files[1].md5)])
    with pytest.raises(RuntimeError, match="the file is corrupt"):
        datasets.Kitti(tmp_path / "other", download=True)


def test_files_of_google_drive_need_gdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gdown", None)
    with pytest.raises(RuntimeError, match=r"'gdown' is required: pip install gdown\. Or fetch https://drive\.google"):
        datasets.CelebA(tmp_path, download=True)


def boxes_of(target: Any) -> list[list[int]]:
    assert type(target).__name__ == "BoundingBoxes" and target.format.value == "XYXY" and target.canvas_size == (6, 8)
    return target.tolist()


def test_targets_that_transforms_map(tmp_path: Path) -> None:
    for build in (voc, coco, pets, celeba, cityscapes, sbd, kitti, widerface):
        build(tmp_path)
    wrap = datasets.wrap_dataset_for_transforms_v2
    found = wrap(datasets.CocoDetection(tmp_path, tmp_path / "annotations.json"))
    assert isinstance(found, datasets.CocoDetection) and len(found) == 2 and found.ids == [4, 9]
    assert found[0][1] == {"image_id": 4}
    _, target = found[1]
    assert boxes_of(target["boxes"]) == [[1, 2, 4, 4], [0, 0, 4, 4]] and target["labels"].tolist() == [17, 1]
    asked = wrap(datasets.CocoDetection(tmp_path, tmp_path / "annotations.json"), ["area"])
    assert asked[1][1] == {"area": [6.0, 16.0]}
    _, target = wrap(datasets.VOCDetection(tmp_path))[0]
    assert boxes_of(target["boxes"]) == [[1, 2, 5, 4]] * 2 and target["labels"].tolist() == [8, 12]
    assert (wrap(datasets.VOCSegmentation(tmp_path))[0][1] == 12).all()
    _, (mask, breed) = wrap(datasets.OxfordIIITPet(tmp_path, target_types=["segmentation", "category"]))[0]
    assert type(mask).__name__ == "Mask" and (mask == 2).all() and breed == 1
    _, (box, person) = wrap(datasets.CelebA(tmp_path, target_type=["bbox", "identity"]))[0]
    assert boxes_of(box) == [[1, 2, 4, 6]] and person == 7
    _, target = wrap(datasets.Cityscapes(tmp_path))[0]
    assert target["labels"].tolist() == [21] and tuple(target["masks"].shape) == (1, 1, 6, 8)
    assert (wrap(datasets.SBDataset(tmp_path, mode="segmentation"))[0][1] == 5).all()
    _, target = wrap(datasets.Kitti(tmp_path), "all")[0]
    assert target["boxes"].tolist() == [[1, 2, 3, 4]] and target["labels"].tolist() == [0] and target["type"] == ["Car"]
    _, target = wrap(datasets.WIDERFace(tmp_path))[0]
    assert boxes_of(target["bbox"]) == [[1, 2, 4, 6], [5, 6, 12, 14]] and target["blur"].tolist() == [0, 1]


def test_wrapped_datasets_keep_their_transforms(tmp_path: Path) -> None:
    voc(tmp_path)
    wrapped = datasets.wrap_dataset_for_transforms_v2(datasets.VOCDetection(tmp_path, transforms=_widths))
    assert wrapped[0] == (8, [2, 2]) and pickle.loads(pickle.dumps(wrapped))[0] == (8, [2, 2])
    refused = datasets.SBDataset
    sbd(tmp_path)
    with pytest.raises(RuntimeError, match="mode='boundaries' is not supported"):
        datasets.wrap_dataset_for_transforms_v2(refused(tmp_path))
    with pytest.raises(ValueError, match=r"Target keys \['masks'\] are not available"):
        datasets.wrap_dataset_for_transforms_v2(datasets.VOCDetection(tmp_path), ["masks"])
    with pytest.raises(ValueError, match="only supported for `CocoDetection`"):
        datasets.wrap_dataset_for_transforms_v2(datasets.VOCSegmentation(tmp_path), ["masks"])
    with pytest.raises(TypeError, match="No wrapper exists for dataset class Digits"):
        datasets.wrap_dataset_for_transforms_v2(datasets.Digits())


def _widths(image: Image.Image, target: dict[str, Any]) -> tuple[int, list[int]]:
    return image.width, (target["boxes"][:, 3] - target["boxes"][:, 1]).tolist()
