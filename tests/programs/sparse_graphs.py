"""A graph convolutional network over a sparse adjacency matrix, and attention over its edges, after pygcn and pyGAT."""

import math

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.nn.modules.module import Module
from torch.nn.parameter import Parameter

rng = np.random.RandomState(42)
torch.manual_seed(42)


def normalize(mx):
    """Row-normalize sparse matrix."""
    rowsum = np.array(mx.sum(1))
    r_inv = np.power(rowsum, -1).flatten()
    r_inv[np.isinf(r_inv)] = 0.0
    r_mat_inv = sp.diags(r_inv)
    return r_mat_inv.dot(mx)


def sparse_mx_to_torch_sparse_tensor(sparse_mx):
    """Convert a scipy sparse matrix to a torch sparse tensor."""
    sparse_mx = sparse_mx.tocoo().astype(np.float32)
    indices = torch.from_numpy(np.vstack((sparse_mx.row, sparse_mx.col)).astype(np.int64))
    values = torch.from_numpy(sparse_mx.data)
    shape = torch.Size(sparse_mx.shape)
    return torch.sparse.FloatTensor(indices, values, shape)


def load_data(groups=4, each=30):
    """Generate a graph of densely connected groups with weakly informative features."""
    labels = np.repeat(np.arange(groups), each)
    n = len(labels)
    same = labels[:, None] == labels[None]
    edges = np.argwhere(np.triu(rng.rand(n, n) < np.where(same, 0.15, 0.005), 1)).astype(np.int32)
    adj = sp.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(n, n), dtype=np.float32)
    adj = adj + adj.T.multiply(adj.T > adj) - adj.multiply(adj.T > adj)
    features = sp.csr_matrix(rng.rand(n, 32) < 0.1 + 0.1 * (np.arange(32)[None] % groups == labels[:, None]))
    features = normalize(features.astype(np.float32))
    adj = normalize(adj + sp.eye(n))
    order = rng.permutation(n)
    features = torch.FloatTensor(np.array(features.todense()))
    return sparse_mx_to_torch_sparse_tensor(adj), features, torch.LongTensor(labels), order[:24], order[24:]


class GraphConvolution(Module):
    """Simple GCN layer, similar to https://arxiv.org/abs/1609.02907."""

    def __init__(self, in_features, out_features, bias=True):
        super(GraphConvolution, self).__init__()
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
        support = torch.mm(input, self.weight)
        output = torch.spmm(adj, support)
        if self.bias is not None:
            return output + self.bias
        return output


class GCN(nn.Module):
    def __init__(self, nfeat, nhid, nclass, dropout):
        super(GCN, self).__init__()
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, self.dropout, training=self.training)
        x = self.gc2(x, adj)
        return F.log_softmax(x, dim=1)


class SpecialSpmmFunction(torch.autograd.Function):
    """Special function for only sparse region backpropataion layer."""

    @staticmethod
    def forward(ctx, indices, values, shape, b):
        assert not indices.requires_grad
        a = torch.sparse_coo_tensor(indices, values, shape)
        ctx.save_for_backward(a, b)
        ctx.N = shape[0]
        return torch.matmul(a, b)

    @staticmethod
    def backward(ctx, grad_output):
        a, b = ctx.saved_tensors
        grad_values = grad_b = None
        if ctx.needs_input_grad[1]:
            grad_a_dense = grad_output.matmul(b.t())
            edge_idx = a._indices()[0, :] * ctx.N + a._indices()[1, :]
            grad_values = grad_a_dense.view(-1)[edge_idx]
        if ctx.needs_input_grad[3]:
            grad_b = a.t().matmul(grad_output)
        return None, grad_values, None, grad_b


class SpGAT(nn.Module):
    """Attention over edges, whose weights are the values of a sparse matrix."""

    def __init__(self, nfeat, nclass):
        super().__init__()
        self.W = nn.Parameter(torch.zeros(size=(nfeat, nclass)))
        self.a = nn.Parameter(torch.zeros(size=(1, 2 * nclass)))
        nn.init.xavier_normal_(self.W.data, gain=1.414)
        nn.init.xavier_normal_(self.a.data, gain=1.414)

    def forward(self, input, adj):
        N = input.size()[0]
        edge = adj._indices()
        h = torch.mm(input, self.W)
        edge_h = torch.cat((h[edge[0, :], :], h[edge[1, :], :]), dim=1).t()
        edge_e = torch.exp(-F.leaky_relu(self.a.mm(edge_h).squeeze(), 0.2))
        ones = torch.ones(size=(N, 1))
        e_rowsum = SpecialSpmmFunction.apply(edge, edge_e, torch.Size([N, N]), ones)
        h_prime = SpecialSpmmFunction.apply(edge, edge_e, torch.Size([N, N]), h)
        return F.log_softmax(h_prime.div(e_rowsum), dim=1)


def train(model, epochs, lr=0.03):
    optimizer = optim.Adam(model.parameters(), lr=lr, weight_decay=5e-4)
    for epoch in range(epochs):
        model.train()
        optimizer.zero_grad()
        loss = F.nll_loss(model(features, adj)[idx_train], labels[idx_train])
        loss.backward()
        optimizer.step()
    model.eval()
    predicted = model(features, adj)[idx_test].max(1)[1]
    return loss.item(), predicted.eq(labels[idx_test]).double().mean().item()


adj, features, labels, idx_train, idx_test = load_data()
idx_train, idx_test = torch.LongTensor(idx_train), torch.LongTensor(idx_test)
print(f"{adj.shape[0]} nodes, {adj._nnz()} elements, layout {adj.layout}")
assert adj.is_sparse and not features.is_sparse
assert torch.allclose(torch.sparse.sum(adj, dim=1).to_dense(), torch.ones(len(labels)))

loss, accuracy = train(GCN(features.shape[1], 16, 4, 0.5), 100)
print(f"graph convolution: loss {loss:.3f}, accuracy {accuracy:.2f}")
assert accuracy > 0.8

loss, accuracy = train(SpGAT(features.shape[1], 4), 100)
print(f"attention over edges: loss {loss:.3f}, accuracy {accuracy:.2f}")
assert accuracy > 0.45

# PageRank by products with compressed rows
links = adj.coalesce().to_sparse_csr()
rank = torch.full((len(labels), 1), 1 / len(labels))
for _ in range(50):
    rank = 0.15 / len(labels) + 0.85 * (links.t() @ rank)
start = torch.full_like(rank, 0.15 / len(labels))
dense = torch.linalg.solve(torch.eye(len(labels)) - 0.85 * adj.to_dense().t(), start)
print(f"largest rank {rank.max().item():.4f}, off by {(rank - dense).abs().max().item():.1e}")
assert torch.allclose(rank, dense, atol=1e-4)
