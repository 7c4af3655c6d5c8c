"""Style by Gram matrices: L-BFGS moves the pixels of an image, through a fixed network of random filters."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(0)
SIZE = 24


def gram_matrix(input):
    a, b, c, d = input.size()
    features = input.view(a * b, c * d)
    G = torch.mm(features, features.t())
    return G.div(a * b * c * d)


class ContentLoss(nn.Module):
    def __init__(self, target):
        super(ContentLoss, self).__init__()
        self.target = target.detach()

    def forward(self, input):
        self.loss = F.mse_loss(input, self.target)
        return input


class StyleLoss(nn.Module):
    def __init__(self, target_feature):
        super(StyleLoss, self).__init__()
        self.target = gram_matrix(target_feature).detach()

    def forward(self, input):
        self.loss = F.mse_loss(gram_matrix(input), self.target)
        return input


class Normalization(nn.Module):
    def __init__(self, mean, std):
        super(Normalization, self).__init__()
        self.mean = torch.tensor(mean).view(-1, 1, 1)
        self.std = torch.tensor(std).view(-1, 1, 1)

    def forward(self, img):
        return (img - self.mean) / self.std


axis = torch.arange(SIZE)
content_img = torch.zeros(1, 3, SIZE, SIZE)
content_img[:, 0, 6:18, 6:18] = 1.0
style_img = ((axis[:, None] + axis) % 6 < 3).float().expand(1, 3, SIZE, SIZE) * torch.tensor([0.2, 0.6, 1.0]).view(
    1, 3, 1, 1
)
cnn = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(inplace=True), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.MaxPool2d(2)).eval()
for p in cnn.parameters():
    p.requires_grad_(False)

content_losses, style_losses = [], []
model = nn.Sequential(Normalization([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
i = 0
for layer in cnn.children():
    if isinstance(layer, nn.Conv2d):
        i += 1
        name = f"conv_{i}"
    elif isinstance(layer, nn.ReLU):
        name = f"relu_{i}"
        layer = nn.ReLU(inplace=False)
    else:
        name = f"pool_{i}"
    model.add_module(name, layer)
    if name == "conv_2":
        content_losses.append(ContentLoss(model(content_img)))
        model.add_module(f"content_loss_{i}", content_losses[-1])
    if name.startswith("conv"):
        style_losses.append(StyleLoss(model(style_img)))
        model.add_module(f"style_loss_{i}", style_losses[-1])
print(model)

input_img = content_img.clone().requires_grad_(True)
optimizer = optim.LBFGS([input_img])
history = []
run = [0]
while run[0] <= 60:

    def closure():
        with torch.no_grad():
            input_img.clamp_(0, 1)
        optimizer.zero_grad()
        model(input_img)
        style_score = sum(sl.loss for sl in style_losses) * 1e4
        content_score = sum(cl.loss for cl in content_losses)
        loss = style_score + content_score
        loss.backward()
        run[0] += 1
        history.append(style_score.item())
        if run[0] % 20 == 0:
            print(f"run {run[0]}: style {style_score.item():.4f}, content {content_score.item():.4f}")
        return style_score + content_score

    optimizer.step(closure)
with torch.no_grad():
    input_img.clamp_(0, 1)
assert min(history) < 0.15 * history[0] and (input_img - content_img).abs().mean() > 0.02
