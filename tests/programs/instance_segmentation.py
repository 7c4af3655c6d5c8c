"""Finding objects and their masks: a Mask R-CNN with a small backbone learns discs and squares drawn on noise."""

import math

import numpy as np
import torch
import torchvision
from torchvision import tv_tensors
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.ops.boxes import box_iou, masks_to_boxes
from torchvision.transforms import v2 as T
from torchvision.transforms.v2 import functional as F

torch.manual_seed(0)
device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
SIZE = 64


class ShapesDataset(torch.utils.data.Dataset):
    """Images of one or two shapes that do not touch: discs are class 1, squares class 2."""

    def __init__(self, count, seed, transforms):
        self.transforms = transforms
        self.samples = [self.draw(np.random.default_rng([seed, index])) for index in range(count)]

    @staticmethod
    def draw(rng):
        image = rng.integers(0, 80, (3, SIZE, SIZE))
        y, x = np.mgrid[:SIZE, :SIZE]
        masks, labels = [], []
        for middle in (16, 48)[: rng.integers(1, 3)]:
            radius = rng.integers(8, 13)
            dx, dy = x - middle - rng.integers(-2, 3), y - rng.integers(16, 48)
            label = int(rng.integers(1, 3))
            mask = dx**2 + dy**2 <= radius**2 if label == 1 else np.maximum(abs(dx), abs(dy)) <= radius
            image[:, mask] += np.array([150, 25, 25] if label == 1 else [25, 25, 150])[:, None]
            masks.append(mask)
            labels.append(label)
        return image.astype(np.uint8), np.stack(masks).astype(np.uint8), labels

    def __getitem__(self, index):
        image, masks, labels = self.samples[index]
        img = tv_tensors.Image(image)
        boxes = masks_to_boxes(torch.from_numpy(masks))
        target = {}
        target["boxes"] = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=F.get_size(img))
        target["masks"] = tv_tensors.Mask(masks)
        target["labels"] = torch.tensor(labels)
        target["image_id"] = index
        target["area"] = (boxes[:, 3] - boxes[:, 1]) * (boxes[:, 2] - boxes[:, 0])
        target["iscrowd"] = torch.zeros((len(labels),), dtype=torch.int64)
        return self.transforms(img, target)

    def __len__(self):
        return len(self.samples)


def get_transform(train):
    transforms = []
    if train:
        transforms.append(T.RandomHorizontalFlip(0.5))
    transforms.append(T.ToDtype(torch.float, scale=True))
    transforms.append(T.ToPureTensor())
    return T.Compose(transforms)


def collate_fn(batch):
    return tuple(zip(*batch))


def get_model_instance_segmentation(num_classes):
    backbone = torch.nn.Sequential(
        *(
            torchvision.ops.Conv2dNormActivation(inputs, outputs, stride=2)
            for inputs, outputs in ((3, 16), (16, 32), (32, 64))
        )
    )
    backbone.out_channels = 64
    model = MaskRCNN(
        backbone,
        num_classes=91,
        min_size=SIZE,
        max_size=SIZE,
        rpn_anchor_generator=AnchorGenerator(sizes=((16, 24),), aspect_ratios=((1.0,),)),
        rpn_post_nms_top_n_train=100,
        rpn_post_nms_top_n_test=50,
        box_roi_pool=torchvision.ops.MultiScaleRoIAlign(["0"], output_size=5, sampling_ratio=2),
        box_batch_size_per_image=32,
        mask_roi_pool=torchvision.ops.MultiScaleRoIAlign(["0"], output_size=8, sampling_ratio=2),
        mask_head=torchvision.models.detection.mask_rcnn.MaskRCNNHeads(64, (256,), 1),
    )
    # Replace the heads, which are for 91 classes, by heads for these classes.
    in_features = model.roi_heads.box_predictor.cls_score.in_features
    model.roi_heads.box_predictor = FastRCNNPredictor(in_features, num_classes)
    in_features_mask = model.roi_heads.mask_predictor.conv5_mask.in_channels
    model.roi_heads.mask_predictor = MaskRCNNPredictor(in_features_mask, 32, num_classes)
    return model


def train_one_epoch(model, optimizer, data_loader):
    model.train()
    total = 0.0
    for images, targets in data_loader:
        targets = [{k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in t.items()} for t in targets]
        loss_dict = model([image.to(device) for image in images], targets)
        losses = sum(loss for loss in loss_dict.values())
        loss_value = losses.item()
        assert math.isfinite(loss_value), loss_dict
        optimizer.zero_grad()
        losses.backward()
        optimizer.step()
        total += loss_value
    return total / len(data_loader)


@torch.inference_mode()
def evaluate(model, dataset):
    """Return the fraction of objects whose highest-scoring box, class and mask are correct."""
    model.eval()
    right, objects = 0, 0
    for image, target in dataset:
        (found,) = model([image.to(device)])
        objects += len(target["labels"])
        if len(found["boxes"]) == 0:
            continue
        overlap, best = box_iou(target["boxes"], found["boxes"]).max(1)
        masks = found["masks"][best, 0] > 0.5
        shared = (masks & target["masks"].bool()).sum((1, 2))
        union = (masks | target["masks"].bool()).sum((1, 2))
        good = (overlap > 0.6) & (found["labels"][best] == target["labels"]) & (shared / union > 0.6)
        right += int((good & (found["scores"][best] > 0.5)).sum())
    return right / objects


dataset = ShapesDataset(64, seed=0, transforms=get_transform(train=True))
dataset_test = ShapesDataset(16, seed=1, transforms=get_transform(train=False))
data_loader = torch.utils.data.DataLoader(dataset, batch_size=4, shuffle=True, collate_fn=collate_fn)
model = get_model_instance_segmentation(num_classes=3).to(device)
params = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(params, lr=1e-3)
lr_scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.3)
history = []
for epoch in range(4):
    history.append(train_one_epoch(model, optimizer, data_loader))
    lr_scheduler.step()
score = evaluate(model, dataset_test)
print([round(loss, 3) for loss in history], score)
assert history[-1] < 0.5 * history[0]
assert score > 0.8
