"""Test datasets with annotations, such as boxes or masks, with small folders in the published layout."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from published_files import COCO, celeba, cityscapes, coco, flickr, kitti, pets, sbd, voc, widerface, write

from flambeau.vision import datasets


def shade(image: Image.Image) -> int:
    pixels = np.asarray(image)
    assert pixels.min() == pixels.max()
    return int(pixels.max())


def test_voc_datasets_return_masks_and_boxes(tmp_path: Path) -> None:
    voc(tmp_path)
    masks = datasets.VOCSegmentation(tmp_path, transforms=lambda image, mask: (shade(image), (mask.mode, shade(mask))))
    assert [masks[i] for i in range(len(masks))] == [(2, ("L", 12)), (1, ("L", 11))]
    boxes = datasets.VOCDetection(tmp_path, transform=shade)
    box = {"xmin": "1", "ymin": "2", "xmax": "5", "ymax": "4"}
    cat, dog = ({"name": name, "bndbox": box} for name in ("cat", "dog"))
    # Elements without text and children are not in the dictionary.
    assert boxes[0] == (2, {"annotation": {"size": {"width": "8"}, "object": [cat, dog]}})
    assert boxes[1] == (1, {"annotation": {"size": {"width": "8"}, "object": [cat]}})
    with pytest.raises(ValueError, match="Unknown value 'test' for argument image_set"):
        datasets.VOCDetection(tmp_path, image_set="test")
    with pytest.raises(RuntimeError, match=r"VOCDetection: .*VOC2007/ImageSets/Main/test.txt does not exist"):
        datasets.VOCDetection(tmp_path, year="2007", image_set="test")


def test_coco_datasets_return_annotations_and_captions(tmp_path: Path) -> None:
    coco(tmp_path)
    dataset = datasets.CocoDetection(tmp_path, tmp_path / "annotations.json", transform=shade)
    assert dataset.ids == [4, 9] and dataset[0] == (1, []) and dataset[1] == (2, COCO["annotations"])
    with pytest.raises(ValueError, match="Index must be of type integer, got <class 'slice'>"):
        dataset[0:1]
    captions = datasets.CocoCaptions(tmp_path, tmp_path / "annotations.json", target_transform=tuple)
    assert captions[1][1] == ("Cat.", "Man.")
    write(tmp_path / "other.json", "[]")
    with pytest.raises(ValueError, match="does not hold annotations in COCO's format"):
        datasets.CocoDetection(tmp_path, tmp_path / "other.json")


def test_coco_annotations_can_be_queried_as_in_pycocotools(tmp_path: Path) -> None:
    coco(tmp_path)
    found = datasets.CocoDetection(tmp_path, tmp_path / "annotations.json").coco
    assert found.getAnnIds() == [1, 2] and found.getAnnIds(4) == [] and found.getAnnIds([9], catIds=[17]) == [1]
    assert found.getAnnIds(iscrowd=True) == [2] and found.getAnnIds(areaRng=[0, 10]) == [1]
    assert found.getCatIds() == [1, 17] and found.getCatIds("cat") == [17] and found.getCatIds(supNms="animal") == [17]
    assert found.getImgIds() == [4, 9] and found.getImgIds(catIds=[1, 17]) == [9] and found.getImgIds(4, 1) == []
    assert found.loadCats([17])[0]["name"] == "cat" and found.loadImgs(4)[0]["file_name"] == "a.jpg"
    assert [each["id"] for each in found.loadAnns([2, 1])] == [2, 1] and len(found.imgToAnns[9]) == 2


def test_oxford_pets_returns_the_requested_targets(tmp_path: Path) -> None:
    pets(tmp_path)
    dataset = datasets.OxfordIIITPet(tmp_path, transform=shade)
    assert [dataset[0], dataset[1]] == [(2, 1), (1, 0)]
    assert dataset.classes == ["Abyssinian", "American Bulldog"]
    kinds = ["binary-category", "segmentation", "category"]
    _, (kind, mask, breed) = datasets.OxfordIIITPet(tmp_path, target_types=kinds)[0]
    assert (kind, shade(mask), breed) == (1, 2, 1)
    with pytest.raises(ValueError, match="Unknown value 'breed' for argument target_types"):
        datasets.OxfordIIITPet(tmp_path, target_types=["breed"])


def test_celeba_returns_the_requested_targets(tmp_path: Path) -> None:
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


def test_cityscapes_returns_masks_and_polygons(tmp_path: Path) -> None:
    cityscapes(tmp_path)
    dataset = datasets.Cityscapes(tmp_path, "val", target_type=["semantic", "polygon"])
    image, (mask, polygons) = dataset[0]
    assert len(dataset) == 1 and (shade(image), shade(mask), polygons) == (2, 22, {"objects": [2]})
    assert datasets.Cityscapes.classes[7].name == "road" and len(datasets.Cityscapes.classes) == 35
    with pytest.raises(ValueError, match="'train_extra' for argument split if mode is 'fine'"):
        datasets.Cityscapes(tmp_path, "train_extra")
    with pytest.raises(RuntimeError, match=r"Cityscapes: .*leftImg8bit/test does not exist.*cityscapes-dataset"):
        datasets.Cityscapes(tmp_path, "test")


def test_cityscapes_archives_are_extracted(tmp_path: Path) -> None:
    cityscapes(tmp_path / "made")
    for name, part in (("leftImg8bit_trainvaltest", "leftImg8bit"), ("gtFine_trainvaltest", "gtFine")):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as packed:
            for path in (tmp_path / "made" / part).rglob("*.*"):
                packed.write(path, path.relative_to(tmp_path / "made"))
    assert shade(datasets.Cityscapes(tmp_path)[0][1]) == 21


def test_sbdataset_returns_boundaries_or_segmentations(tmp_path: Path) -> None:
    sbd(tmp_path)
    image, edges = datasets.SBDataset(tmp_path)[0]
    assert shade(image) == 1 and edges.shape == (20, 6, 8) and (edges[19] == 19).all()
    assert shade(datasets.SBDataset(tmp_path, mode="segmentation")[0][1]) == 5


def test_kitti_returns_the_properties_of_each_object(tmp_path: Path) -> None:
    kitti(tmp_path)
    _, (car,) = datasets.Kitti(tmp_path)[0]
    assert (car["type"], car["truncated"], car["occluded"], car["alpha"]) == ("Car", 0.5, 1, -1.5)
    assert car["bbox"] == [1, 2, 3, 4] and car["dimensions"] == [1.5, 1.6, 1.7] and car["location"] == [0, 1, 2]
    assert car["rotation_y"] == 0.25 and datasets.Kitti(tmp_path, train=False)[0][1] is None


def test_wider_face_returns_boxes_and_attributes_of_faces(tmp_path: Path) -> None:
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
    with pytest.raises(ValueError, match=r"is damaged: the faces of '0--Parade/a\.jpg' are missing"):
        datasets.WIDERFace(tmp_path, "val")


@pytest.mark.parametrize(("kind", "file"), [("Flickr30k", "sentences.token"), ("Flickr8k", "page.html")])
def test_flickr_datasets_return_the_captions_of_each_image(
    kind: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flickr(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    for root in (tmp_path, Path(tmp_path.name)):
        dataset = getattr(datasets, kind)(root, tmp_path / file, transform=shade)
        assert dataset.ids == ["12_ab.jpg"] and dataset[0] == (1, ["A man .", "A dog ."])


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
def test_errors_name_missing_annotation_files(make: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^Dataset not found\. \w+: .* does not exist. You can use download=True"):
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
    with pytest.raises(
        RuntimeError, match=r"'gdown' is required: pip install gdown\. Or download https://drive\.google"
    ):
        datasets.CelebA(tmp_path, download=True)


def boxes_of(target: Any) -> list[list[int]]:
    assert type(target).__name__ == "BoundingBoxes" and target.format.value == "XYXY" and target.canvas_size == (6, 8)
    return target.tolist()


def test_wrapped_datasets_return_transformable_targets(tmp_path: Path) -> None:
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
    rejected = datasets.SBDataset
    sbd(tmp_path)
    with pytest.raises(RuntimeError, match="mode='boundaries' is not supported"):
        datasets.wrap_dataset_for_transforms_v2(rejected(tmp_path))
    with pytest.raises(ValueError, match=r"Target keys \['masks'\] are not available"):
        datasets.wrap_dataset_for_transforms_v2(datasets.VOCDetection(tmp_path), ["masks"])
    with pytest.raises(ValueError, match="only supported for `CocoDetection`"):
        datasets.wrap_dataset_for_transforms_v2(datasets.VOCSegmentation(tmp_path), ["masks"])
    with pytest.raises(TypeError, match="No wrapper exists for dataset class Digits"):
        datasets.wrap_dataset_for_transforms_v2(datasets.Digits())


def _widths(image: Image.Image, target: dict[str, Any]) -> tuple[int, list[int]]:
    return image.width, (target["boxes"][:, 3] - target["boxes"][:, 1]).tolist()
