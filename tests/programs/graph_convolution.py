"""Graph convolution and graph attention label the nodes of a graph of communities from a few labels."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.modules.module import Module
from torch.nn.parameter import Parameter

torch.manual_seed(42)


class GraphConvolution(Module):
    def __init__(self, in_features, out_features, bias=True):
        super(GraphConvolution, self).__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(torch.FloatTensor(in_features, out_features))
        if bias:
            self.bias = Parameter(torch.FloatTensor(out_features))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self):
        stdv = 1.0 / math.sqrt(self.weight.size(1))
        self.weight.data.uniform_(-stdv, stdv)
        if self.bias is not None:
            self.bias.data.uniform_(-stdv, stdv)

    def forward(self, input, adj):
        output = torch.mm(adj, torch.mm(input, self.weight))
        return output + self.bias if self.bias is not None else output

    def __repr__(self):
        return f"{self.__class__.__name__} ({self.in_features} -> {self.out_features})"


class GCN(nn.Module):
    def __init__(self, nfeat, nhid, nclass, dropout):
        super(GCN, self).__init__()
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, self.dropout, training=self.training)
        return F.log_softmax(self.gc2(x, adj), dim=1)


class GraphAttention(nn.Module):
    def __init__(self, in_features, out_features, n_heads, dropout=0.1, slope=0.2):
        super().__init__()
        self.n_heads, self.n_hidden = n_heads, out_features // n_heads
        self.W = nn.Parameter(torch.empty(size=(in_features, out_features)))
        self.a = nn.Parameter(torch.empty(size=(n_heads, 2 * self.n_hidden, 1)))
        nn.init.xavier_normal_(self.W)
        nn.init.xavier_normal_(self.a)
        self.leakyrelu, self.softmax, self.dropout = nn.LeakyReLU(slope), nn.Softmax(dim=1), dropout

    def forward(self, h, adj):
        n = h.shape[0]
        h = torch.mm(h, self.W).view(n, self.n_heads, self.n_hidden).permute(1, 0, 2)
        source = torch.matmul(h, self.a[:, : self.n_hidden, :])
        target = torch.matmul(h, self.a[:, self.n_hidden :, :])
        e = self.leakyrelu(source + target.mT)
        attention = torch.where(adj > 0, e, -9e16 * torch.ones_like(e))
        attention = F.dropout(F.softmax(attention, dim=-1), self.dropout, training=self.training)
        return torch.matmul(attention, h).permute(1, 0, 2).contiguous().view(n, -1)


class GAT(nn.Module):
    def __init__(self, nfeat, nclass):
        super().__init__()
        self.gat1, self.gat2 = GraphAttention(nfeat, 16, 4), GraphAttention(16, nclass, 1)

    def forward(self, x, adj):
        return F.log_softmax(self.gat2(F.elu(self.gat1(x, adj)), adj), dim=1)


# Communities: many edges inside, few between
N, CLASSES = 120, 3
labels = torch.arange(N) % CLASSES
same = labels[:, None] == labels[None, :]
upper = torch.bernoulli(torch.where(same, 0.15, 0.02)).triu(1)
adj = upper + upper.T + torch.eye(N)
edges = adj.nonzero().t()
features = F.normalize(0.4 * F.one_hot(labels, CLASSES).float() + torch.randn(N, CLASSES), p=1)
degree = adj.sum(1)
normalised = torch.diag(degree.pow(-0.5)) @ adj @ torch.diag(degree.pow(-0.5))
scattered = torch.zeros(N, CLASSES).index_add_(0, edges[0], features[edges[1]])
assert torch.allclose(scattered, adj @ features, atol=1e-5)
idx = torch.randperm(N)
idx_train, idx_test = idx[:24], idx[24:]

for model, matrix in ((GCN(CLASSES, 16, CLASSES, 0.3), normalised), (GAT(CLASSES, CLASSES), adj)):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=5e-4)
    for epoch in range(120):
        model.train()
        optimizer.zero_grad()
        loss = F.nll_loss(model(features, matrix)[idx_train], labels[idx_train])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        preds = model(features, matrix).max(1)[1].type_as(labels)
    accuracy = preds[idx_test].eq(labels[idx_test]).double().mean().item()
    print(f"{type(model).__name__}: loss {loss.item():.4f}, test accuracy {accuracy:.3f}", getattr(model, "gc1", ""))
    assert accuracy > 0.65
