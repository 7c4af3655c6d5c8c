"""A vision transformer on images of stripes, distilled into a small network, and attacked by the fast gradient sign."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def stripes(count, size=16):
    """Return noisy images of stripes in four directions, and their labels."""
    labels = torch.randint(0, 4, (count,))
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    directions = torch.stack([x, y, x + y, x - y]).float()
    phase = 6.28 * torch.rand(count, 1, 1)
    images = torch.sin(directions[labels] * 1.2 + phase) + 0.5 * torch.randn(count, size, size)
    return images.unsqueeze(1), labels


class PatchEmbedding(nn.Module):
    def __init__(self, size, patch, width):
        super().__init__()
        self.proj = nn.Conv2d(1, width, kernel_size=patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, width))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, x):
        x = self.proj(x).flatten(2).transpose(1, 2)
        return torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed


class ViT(nn.Module):
    def __init__(self, width=32, depth=2, heads=4, classes=4):
        super().__init__()
        self.patches = PatchEmbedding(16, 4, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.encoder(self.patches(x))[:, 0])


def accuracy(model, images, labels):
    with torch.no_grad():
        return (model(images).argmax(-1) == labels).float().mean().item()


vit = ViT()
optimizer = torch.optim.AdamW(vit.parameters(), lr=3e-3, weight_decay=0.05)
warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=10)
decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=110)
scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, decay], milestones=[10])
criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
for step in range(120):
    images, labels = stripes(48)
    loss = criterion(vit(images), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(vit.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
vit.eval()
test_images, test_labels = stripes(300)
teacher = accuracy(vit, test_images, test_labels)
print(f"vision transformer: accuracy {teacher:.3f}, {sum(p.numel() for p in vit.parameters())} parameters")
assert teacher > 0.9

# Distillation
student = nn.Sequential(nn.Conv2d(1, 6, 5, stride=3), nn.Hardswish(), nn.Flatten(), nn.Linear(6 * 16, 4))
optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
TEMPERATURE = 2.0
for step in range(120):
    images, labels = stripes(48)
    with torch.no_grad():
        soft_targets = F.softmax(vit(images) / TEMPERATURE, dim=-1)
    logits = student(images)
    soft_prob = F.log_softmax(logits / TEMPERATURE, dim=-1)
    soft_loss = torch.sum(soft_targets * (soft_targets.log() - soft_prob)) / soft_prob.size()[0] * (TEMPERATURE**2)
    also = F.kl_div(soft_prob, soft_targets, reduction="batchmean") * TEMPERATURE**2
    assert torch.allclose(soft_loss, also, atol=1e-5)
    loss = 0.75 * soft_loss + 0.25 * F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"student: accuracy {accuracy(student, test_images, test_labels):.3f}")
assert accuracy(student, test_images, test_labels) > 0.7


# The fast gradient sign attack
def fgsm_attack(model, images, labels, epsilon):
    data = images.clone().detach().requires_grad_(True)
    loss = F.nll_loss(F.log_softmax(model(data), dim=1), labels)
    model.zero_grad()
    loss.backward()
    return torch.clamp(data + epsilon * data.grad.data.sign(), images.min().item(), images.max().item()).detach()


accuracies = [accuracy(vit, fgsm_attack(vit, test_images, test_labels, eps), test_labels) for eps in (0, 0.2, 0.4, 0.8)]
print("under attack:", [round(a, 3) for a in accuracies])
assert accuracies[0] == teacher and accuracies[-1] < 0.5 * teacher
