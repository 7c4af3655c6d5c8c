"""A variational autoencoder of small images of bars, with samples of its latent space."""

import argparse

import torch
import torch.utils.data
from torch import nn, optim
from torch.nn import functional as F

parser = argparse.ArgumentParser(description="VAE of bars")
parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="input batch size for training")
parser.add_argument("--epochs", type=int, default=12, metavar="N", help="number of epochs to train")
parser.add_argument("--seed", type=int, default=1, metavar="S", help="random seed")
parser.add_argument("--log-interval", type=int, default=10, metavar="N", help="batches between two lines")
args = parser.parse_args()
torch.manual_seed(args.seed)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
kwargs = {"num_workers": 1, "pin_memory": True} if device.type == "cuda" else {}


def bars(count, size=8):
    """Return images in each of which one row or one column is bright."""
    pictures = torch.zeros(count, 1, size, size)
    place, upright = torch.randint(size, (count,)), torch.rand(count) < 0.5
    for picture, index, vertical in zip(pictures, place, upright):
        if vertical:
            picture[0, :, index] = 1
        else:
            picture[0, index] = 1
    return pictures


train_loader = torch.utils.data.DataLoader(bars(1024), batch_size=args.batch_size, shuffle=True, **kwargs)
test = bars(256).to(device)


class VAE(nn.Module):
    def __init__(self):
        super(VAE, self).__init__()
        self.fc1 = nn.Linear(64, 48)
        self.fc21 = nn.Linear(48, 6)
        self.fc22 = nn.Linear(48, 6)
        self.fc3 = nn.Linear(6, 48)
        self.fc4 = nn.Linear(48, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 64))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 64), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


model = VAE().to(device)
optimizer = optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(1, args.epochs + 1):
    model.train()
    train_loss = 0
    for batch_idx, data in enumerate(train_loader):
        data = data.to(device)
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            b = len(data)
            done, share = batch_idx * len(data), 100.0 * batch_idx / len(train_loader)
            print(
                f"Train Epoch: {epoch} [{done}/{len(train_loader.dataset)} ({share:.0f}%)]\tLoss: {loss.item() / b:.6f}"
            )
    model.eval()
    with torch.no_grad():
        recon, mu, logvar = model(test)
        test_loss = loss_function(recon, test, mu, logvar).item() / len(test)
    print(f"====> Epoch: {epoch} Average loss: {train_loss / len(train_loader.dataset):.4f}, test {test_loss:.4f}")

with torch.no_grad():
    recon = model.decode(model.encode(test.view(-1, 64))[0])
    samples = model.decode(torch.randn(64, 6).to(device)).cpu().view(64, 8, 8)
recovered = (recon.round() == test.view(-1, 64)).float().mean().item()
print(f"pixels recovered: {100 * recovered:.2f} %")
print("\n".join("".join("#" if pixel > 0.5 else "." for pixel in row) for row in samples[0]))
assert test_loss < 12 and recovered > 0.97 and samples.sum((1, 2)).mean() > 5
