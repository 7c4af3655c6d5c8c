"""The class names of published weights. The module has the same name in torchvision."""

from flambeau import _suggestions

from ._published import categories

_LISTS = {
    "_IMAGENET_CATEGORIES": "imagenet",
    "_COCO_CATEGORIES": "coco",
    "_COCO_PERSON_CATEGORIES": "coco_person",
    "_COCO_PERSON_KEYPOINT_NAMES": "coco_person_keypoints",
    "_VOC_CATEGORIES": "voc",
    "_KINETICS400_CATEGORIES": "kinetics400",
}


def __getattr__(name: str) -> list[str]:
    if name in _LISTS:
        return categories(_LISTS[name])
    raise _suggestions.unknown_attribute(__name__, name)
