"""Finding objects and their masks: a Mask R-CNN with a small backbone learns discs and squares drawn on noise."""

import math

import numpy as np
import torch
import torchvision
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.ops.boxes import box_iou, masks_to_boxes

torch.manual_seed(0)
SIZE = 64


class ShapesDataset(torch.utils.data.Dataset):
    """Images of one or two shapes that do not touch: discs are class 1, squares class 2."""

    def __init__(self, count, seed):
        self.samples = [self.draw(np.random.default_rng([seed, index])) for index in range(count)]

    @staticmethod
    def draw(rng):
        image = rng.random((3, SIZE, SIZE)) * 0.3
        y, x = np.mgrid[:SIZE, :SIZE]
        masks, labels = [], []
        for middle in (16, 48)[: rng.integers(1, 3)]:
            radius = rng.integers(8, 13)
            dx, dy = x - middle - rng.integers(-2, 3), y - rng.integers(16, 48)
            label = int(rng.integers(1, 3))
            mask = dx**2 + dy**2 <= radius**2 if label == 1 else np.maximum(abs(dx), abs(dy)) <= radius
            image[:, mask] += np.array([0.6, 0.1, 0.1] if label == 1 else [0.1, 0.1, 0.6])[:, None]
            masks.append(mask)
            labels.append(label)
        masks = torch.from_numpy(np.stack(masks).astype(np.uint8))
        boxes = masks_to_boxes(masks)
        target = {"boxes": boxes, "masks": masks, "labels": torch.tensor(labels), "iscrowd": torch.zeros(len(labels))}
        return torch.from_numpy(image).float(), target

    def __getitem__(self, index):
        return self.samples[index]

    def __len__(self):
        return len(self.samples)


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
    # The heads are those of 91 classes: put ones for these classes in their place.
    in_features = model.roi_heads.box_predictor.cls_score.in_features
    model.roi_heads.box_predictor = FastRCNNPredictor(in_features, num_classes)
    in_features_mask = model.roi_heads.mask_predictor.conv5_mask.in_channels
    model.roi_heads.mask_predictor = MaskRCNNPredictor(in_features_mask, 32, num_classes)
    return model


def train_one_epoch(model, optimizer, data_loader):
    model.train()
    total = 0.0
    for images, targets in data_loader:
        targets = [{k: v for k, v in t.items()} for t in targets]
        loss_dict = model(list(images), targets)
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
    """The share of true objects whose best box, class and mask are right."""
    model.eval()
    right, objects = 0, 0
    for image, target in dataset:
        (found,) = model([image])
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


dataset, dataset_test = ShapesDataset(64, seed=0), ShapesDataset(16, seed=1)
data_loader = torch.utils.data.DataLoader(dataset, batch_size=4, shuffle=True, collate_fn=collate_fn)
model = get_model_instance_segmentation(num_classes=3)
params = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(params, lr=1e-3)
lr_scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.3)
history = []
for epoch in range(6):
    history.append(train_one_epoch(model, optimizer, data_loader))
    lr_scheduler.step()
score = evaluate(model, dataset_test)
print([round(loss, 3) for loss in history], score)
assert history[-1] < 0.5 * history[0]
assert score > 0.8
