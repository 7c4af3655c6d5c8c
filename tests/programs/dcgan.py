"""A DCGAN that generates discs: transposed convolutions, batch normalisation, weights initialised by class name."""

import random

import torch
import torch.nn as nn
import torch.nn.parallel
import torch.optim as optim
import torch.utils.data

manual_seed = 999
random.seed(manual_seed)
torch.manual_seed(manual_seed)
image_size, nc, nz, ngf, ndf, ngpu = 16, 1, 16, 16, 16, 0
device = torch.device("cuda:0" if (torch.cuda.is_available() and ngpu > 0) else "cpu")


class Discs(torch.utils.data.Dataset):
    """Images of white discs on black, in [-1, 1]."""

    def __init__(self, count):
        self.radius = 3 + 3 * torch.rand(count)
        axis = torch.arange(image_size) - (image_size - 1) / 2
        self.distance = torch.hypot(*torch.meshgrid(axis, axis, indexing="ij"))

    def __len__(self):
        return len(self.radius)

    def __getitem__(self, index):
        return torch.tanh(self.radius[index] - self.distance).unsqueeze(0), 0


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight.data, 1.0, 0.02)
        nn.init.constant_(m.bias.data, 0)


class Generator(nn.Module):
    def __init__(self, ngpu):
        super(Generator, self).__init__()
        self.ngpu = ngpu
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, input):
        return self.main(input)


class Discriminator(nn.Module):
    def __init__(self, ngpu):
        super(Discriminator, self).__init__()
        self.ngpu = ngpu
        self.main = nn.Sequential(
            nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, input):
        return self.main(input)


dataloader = torch.utils.data.DataLoader(Discs(512), batch_size=64, shuffle=True, num_workers=0)
netG, netD = Generator(ngpu).to(device), Discriminator(ngpu).to(device)
if (device.type == "cuda") and (ngpu > 1):
    netG = nn.DataParallel(netG, list(range(ngpu)))
netG.apply(weights_init)
netD.apply(weights_init)
print(netG)

criterion = nn.BCELoss()
fixed_noise = torch.randn(32, nz, 1, 1, device=device)
real_label, fake_label = 1.0, 0.0
optimizerD = optim.Adam(netD.parameters(), lr=0.001, betas=(0.5, 0.999))
optimizerG = optim.Adam(netG.parameters(), lr=0.002, betas=(0.5, 0.999))
for epoch in range(12):
    for data in dataloader:
        netD.zero_grad()
        real = data[0].to(device)
        b_size = real.size(0)
        label = torch.full((b_size,), real_label, dtype=torch.float, device=device)
        errD_real = criterion(netD(real).view(-1), label)
        errD_real.backward()
        fake = netG(torch.randn(b_size, nz, 1, 1, device=device))
        label.fill_(fake_label)
        errD_fake = criterion(netD(fake.detach()).view(-1), label)
        errD_fake.backward()
        optimizerD.step()

        netG.zero_grad()
        label.fill_(real_label)
        output = netD(fake).view(-1)
        errG = criterion(output, label)
        errG.backward()
        optimizerG.step()
    print(f"[{epoch + 1}/12] Loss_D: {(errD_real + errD_fake).item():.4f} Loss_G: {errG.item():.4f}")

with torch.no_grad():
    fake = netG(fixed_noise).detach().cpu()
reals = torch.stack([dataloader.dataset[i][0] for i in range(200)])
difference = (fake.mean(0) - reals.mean(0)).abs().mean().item()
print(f"mean difference of the mean images: {difference:.3f}")
print("\n".join("".join(" .:#"[min(3, int(2 * (pixel + 1)))] for pixel in row) for row in fake[0, 0].tolist()))
assert fake.shape == (32, 1, 16, 16) and difference < 0.35
