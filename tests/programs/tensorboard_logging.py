"""TensorBoard output of a training run: scalars, images, histograms, the graph, embeddings, hyperparameters."""

import glob
import os

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.tensorboard import SummaryWriter

torch.manual_seed(0)
writer = SummaryWriter("runs/experiment_1")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc = nn.Linear(6 * 9, 2)

    def forward(self, x):
        return self.fc(self.pool(F.relu(self.conv(x))).view(-1, 6 * 9))


images = torch.rand(128, 1, 8, 8)
labels = (images.mean((1, 2, 3)) > 0.5).long()
images += 0.5 * labels.view(-1, 1, 1, 1)
net = Net()
writer.add_image("first", images[0] / images[0].max())
writer.add_images("some", images[:4].clamp(0, 1), dataformats="NCHW")
writer.add_graph(net, images[:4])
writer.add_embedding(images[:20].view(20, -1), metadata=labels[:20].tolist(), label_img=images[:20].clamp(0, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for epoch in range(30):
    loss = F.cross_entropy(net(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    writer.add_scalar("training loss", loss, epoch)
    writer.add_scalars("rates", {"lr": optimizer.param_groups[0]["lr"], "accuracy": 0.5}, epoch)
    for name, parameter in net.named_parameters():
        writer.add_histogram(name, parameter, epoch)
        writer.add_histogram(f"{name}.grad", parameter.grad, epoch)
probabilities = F.softmax(net(images), dim=1)
accuracy = (probabilities.argmax(1) == labels).float().mean().item()
writer.add_pr_curve("class 1", labels == 1, probabilities[:, 1], global_step=30)
writer.add_text("summary", f"accuracy **{accuracy:.3f}**", 30)
writer.add_hparams({"lr": 0.1, "momentum": 0.9, "optimizer": "SGD"}, {"hparam/accuracy": accuracy})
writer.flush()
writer.close()
files = glob.glob("runs/experiment_1/**/events.out.tfevents.*", recursive=True)
sizes = {os.path.relpath(file, "runs"): os.path.getsize(file) for file in files}
print(sizes, f"accuracy {accuracy:.3f}")
assert len(files) >= 4 and max(sizes.values()) > 10000 and accuracy > 0.9
