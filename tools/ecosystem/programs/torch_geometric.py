"""PyTorch Geometric: graphs, their batches, and networks that pass messages along edges."""

import io

import torch
from torch_geometric import nn as gnn, transforms, utils
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.loader import DataLoader

from tools.ecosystem.cases import fill, gradients, integers, normal, uniform

NODES, EDGES, CHANNELS = 24, 80, 8


def _graph(seed=0, nodes=NODES, edges=EDGES):
    edge_index = torch.stack([integers(nodes, edges, seed=seed + 1), integers(nodes, edges, seed=seed + 2)])
    return Data(
        x=normal(nodes, CHANNELS, seed=seed + 3),
        edge_index=edge_index,
        edge_weight=uniform(edges, seed=seed + 4) + 0.1,
        edge_attr=normal(edges, 4, seed=seed + 5),
        pos=normal(nodes, 3, seed=seed + 6),
        y=integers(3, nodes, seed=seed + 7),
    )


def _learned(model, *inputs):
    output = fill(model).eval()(*inputs)
    (output * normal(*output.shape, seed=9)).sum().backward()
    return {"output": output, "gradients": gradients(model)}


def _perceptron(inputs, outputs):
    return torch.nn.Sequential(
        torch.nn.Linear(inputs, 16), torch.nn.ReLU(), torch.nn.Linear(16, outputs), torch.nn.LayerNorm(outputs)
    )


def convolutions_with_weights():
    graph = _graph()
    layers = {
        "gcn": gnn.GCNConv(CHANNELS, 6),
        "cheb": gnn.ChebConv(CHANNELS, 6, K=3),
        "graph": gnn.GraphConv(CHANNELS, 6, aggr="max"),
        "tag": gnn.TAGConv(CHANNELS, 6),
        "arma": gnn.ARMAConv(CHANNELS, 6, num_stacks=2),
        "gated": gnn.GatedGraphConv(CHANNELS, 2),
        "sgc": gnn.SGConv(CHANNELS, 6, K=2),
        "le": gnn.LEConv(CHANNELS, 6),
    }
    return {name: _learned(layer, graph.x, graph.edge_index, graph.edge_weight) for name, layer in layers.items()}


def convolutions_with_features():
    graph = _graph()
    layers = {
        "gat": gnn.GATConv(CHANNELS, 6, heads=2, edge_dim=4),
        "gatv2": gnn.GATv2Conv(CHANNELS, 6, heads=2, edge_dim=4),
        "gine": gnn.GINEConv(_perceptron(CHANNELS, 6), edge_dim=4, train_eps=True),
        "gen": gnn.GENConv(CHANNELS, 6, edge_dim=4),
        "nn": gnn.NNConv(CHANNELS, 6, _perceptron(4, CHANNELS * 6)),
        "gmm": gnn.GMMConv(CHANNELS, 6, dim=4, kernel_size=3),
        "cg": gnn.CGConv(CHANNELS, dim=4),
        "general": gnn.GeneralConv(CHANNELS, 6, in_edge_channels=4),
    }
    return {name: _learned(layer, graph.x, graph.edge_index, graph.edge_attr) for name, layer in layers.items()}


def convolutions_with_edges_alone():
    graph = _graph()
    layers = {
        "sage": gnn.SAGEConv(CHANNELS, 6, aggr=["mean", "max", "std"]),
        "gin": gnn.GINConv(_perceptron(CHANNELS, 6)),
        "edge": gnn.EdgeConv(_perceptron(2 * CHANNELS, 6)),
        "transformer": gnn.TransformerConv(CHANNELS, 6, heads=2, bias=False),
        "residual": gnn.ResGatedGraphConv(CHANNELS, 6),
        "hypergraph": gnn.HypergraphConv(CHANNELS, 6),
        "supergat": gnn.SuperGATConv(CHANNELS, 6),
        "eg": gnn.EGConv(CHANNELS, 6, num_heads=2),
        "film": gnn.FiLMConv(CHANNELS, 6),
    }
    return {name: _learned(layer, graph.x, graph.edge_index) for name, layer in layers.items()}


def relations_and_transformer():
    graph, kinds = _graph(), integers(3, EDGES, seed=11)
    layer = gnn.GPSConv(CHANNELS, gnn.GINConv(_perceptron(CHANNELS, CHANNELS)), heads=2)
    return {
        "rgcn": _learned(gnn.RGCNConv(CHANNELS, 6, 3, num_bases=2), graph.x, graph.edge_index, kinds),
        "rgat": _learned(gnn.RGATConv(CHANNELS, 6, 3), graph.x, graph.edge_index, kinds),
        "gps": _learned(layer, graph.x, graph.edge_index, torch.arange(NODES) // 8)["output"],
    }


def models():
    graph = _graph()
    degrees = torch.bincount(utils.degree(graph.edge_index[1], NODES).long())
    networks = {
        "gcn": gnn.GCN(CHANNELS, 16, 2, 4, norm="batch", jk="cat"),
        "gat": gnn.GAT(CHANNELS, 16, 2, 4, v2=True, heads=2),
        "gin": gnn.GIN(CHANNELS, 16, 2, 4, norm="layer"),
        "sage": gnn.GraphSAGE(CHANNELS, 16, 3, 4, act="elu"),
        "pna": gnn.PNA(CHANNELS, 16, 2, 4, aggregators=["mean", "max"], scalers=["amplification"], deg=degrees),
        "unet": gnn.GraphUNet(CHANNELS, 16, 4, depth=2),
    }
    return {name: _learned(network, graph.x, graph.edge_index) for name, network in networks.items()}


def pooling():
    graph, batch = _graph(), torch.arange(NODES) // 6
    aggregations = {
        "softmax": gnn.aggr.SoftmaxAggregation(learn=True),
        "quantile": gnn.aggr.QuantileAggregation([0.3, 0.7]),
        "lstm": gnn.aggr.LSTMAggregation(CHANNELS, 5),
        "set2set": gnn.aggr.Set2Set(CHANNELS, 2),
        "transformer": gnn.aggr.GraphMultisetTransformer(CHANNELS, 3, heads=2),
        "degrees": gnn.aggr.DegreeScalerAggregation(["mean", "max"], ["identity", "linear"], torch.ones(6).long()),
    }
    kept = fill(gnn.TopKPooling(CHANNELS, ratio=0.5))(graph.x, graph.edge_index, graph.edge_attr, batch)
    dense, mask = utils.to_dense_batch(graph.x, batch)
    adjacency = utils.to_dense_adj(graph.edge_index, batch)
    assignment = normal(4, 6, 2, seed=4)
    return {
        **{name: fill(aggregation)(graph.x, batch) for name, aggregation in aggregations.items()},
        "top": [each for each in kept if each is not None],
        "edges": fill(gnn.EdgePooling(CHANNELS)).eval()(graph.x, utils.coalesce(graph.edge_index), batch)[0],
        "readout": [pool(graph.x, batch) for pool in (gnn.global_add_pool, gnn.global_mean_pool, gnn.global_max_pool)],
        "dense": [dense, mask],
        "diffpool": list(gnn.dense_diff_pool(dense, adjacency, assignment, mask)),
        "mincut": list(gnn.dense_mincut_pool(dense, adjacency, assignment, mask)),
        "norms": [fill(norm)(graph.x, batch) for norm in (gnn.GraphNorm(CHANNELS), gnn.LayerNorm(CHANNELS))],
    }


class _Relative(gnn.MessagePassing):
    """Custom message-passing layer."""

    def __init__(self):
        super().__init__(aggr="mean", flow="source_to_target")
        self.linear = torch.nn.Linear(CHANNELS + 3, 5)

    def forward(self, x, pos, edge_index):
        return self.propagate(edge_index, x=x, pos=pos)

    def message(self, x_j, pos_i, pos_j):
        return self.linear(torch.cat([x_j, pos_j - pos_i], dim=-1)).relu()

    def update(self, inputs):
        return 2 * inputs


def own_layer():
    graph = _graph()
    return _learned(_Relative(), graph.x, graph.pos, graph.edge_index)


def functions():
    graph = _graph()
    index, values = graph.edge_index[0], graph.edge_attr
    loops, weights = utils.add_self_loops(graph.edge_index, graph.edge_weight, num_nodes=NODES)
    return {
        "scatter": {how: utils.scatter(values, index, 0, NODES, how) for how in ("sum", "mean", "max", "min", "mul")},
        "segment": utils.segment(normal(12, 3), torch.tensor([0, 3, 3, 7, 12]), "mean"),
        "softmax": utils.softmax(values, index, num_nodes=NODES),
        "loops": [loops, weights],
        "coalesced": list(utils.coalesce(graph.edge_index, graph.edge_attr, reduce="mean")),
        "undirected": utils.to_undirected(graph.edge_index),
        "subgraph": utils.subgraph(torch.arange(10), graph.edge_index, relabel_nodes=True)[0],
        "hops": list(utils.k_hop_subgraph(3, 2, graph.edge_index, num_nodes=NODES)),
        "laplacian": list(utils.get_laplacian(graph.edge_index, graph.edge_weight, "sym", num_nodes=NODES)),
        "dense": utils.to_dense_adj(graph.edge_index, edge_attr=graph.edge_weight),
        "csr": utils.to_torch_csr_tensor(graph.edge_index, size=(NODES, NODES)).to_dense(),
        "connected": utils.contains_isolated_nodes(graph.edge_index, NODES),
    }


def sparse_adjacency():
    graph = _graph()
    edge_index, weights = utils.coalesce(graph.edge_index, graph.edge_weight)
    # PyG's to_torch_coo_tensor(...).t() marks unsorted indices as coalesced, with which PyTorch's products are wrong.
    adjacency = torch.sparse_coo_tensor(edge_index.flip(0), weights, (NODES, NODES)).coalesce()
    results = {}
    for name, layer in {"gcn": gnn.GCNConv(CHANNELS, 6), "gin": gnn.GINConv(_perceptron(CHANNELS, 6))}.items():
        results[name] = _learned(layer, graph.x, adjacency)
        results[name + " by edges"] = layer(graph.x, edge_index, *([weights] if name == "gcn" else []))
    return results


def transforms_of_data():
    graph = _graph()
    chain = transforms.Compose(
        [
            transforms.ToUndirected(),
            transforms.NormalizeFeatures(),
            transforms.Cartesian(cat=False),
            transforms.AddLaplacianEigenvectorPE(1, attr_name="eigenvectors"),
            transforms.AddRandomWalkPE(4, attr_name="walks"),
            transforms.LargestConnectedComponents(),
        ]
    )
    moved = chain(graph)
    return {
        "x": moved.x,
        "edges": moved.edge_index,
        "features": moved.edge_attr,
        "eigenvectors": moved.eigenvectors.abs(),
        "walks": moved.walks,
        "distances": transforms.Distance(cat=False)(_graph(3)).edge_attr,
        "gcn": list(transforms.GCNNorm()(_graph(5)).edge_weight),
        "text": str(graph),
    }


def batches():
    graphs = [_graph(10 * i, nodes=5 + i, edges=12) for i in range(6)]
    whole = Batch.from_data_list(graphs)
    loaded = list(DataLoader(graphs, batch_size=4))
    stored = io.BytesIO()
    torch.save(graphs[0], stored)
    stored.seek(0)
    restored = torch.load(stored, weights_only=False)
    return {
        "edges": whole.edge_index,
        "batch": [batch.batch for batch in loaded],
        "ptr": loaded[0].ptr,
        "third": whole.get_example(3).edge_index,
        "restored": restored.x,
        "sizes": [batch.num_graphs for batch in loaded],
        "described": str(loaded[0]),
    }


def training_graph_classification():
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = gnn.GCNConv(CHANNELS, 16)
            self.second = gnn.GATConv(16, 16, heads=2, concat=False)
            self.head = torch.nn.Linear(16, 2)

        def forward(self, data):
            x = self.first(data.x, data.edge_index, data.edge_weight).relu()
            x = self.second(x, data.edge_index).relu()
            return self.head(gnn.global_mean_pool(x, data.batch))

    graphs = [_graph(10 * i, nodes=6 + i % 3, edges=14) for i in range(12)]
    for graph in graphs:
        graph.label = (graph.x.sum() > 0).long()
    model, losses = fill(Network()), []
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(4):
        for batch in DataLoader(graphs, batch_size=6):
            loss = torch.nn.functional.cross_entropy(model(batch), batch.label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def _authors():
    data = HeteroData()
    data["paper"].x, data["author"].x = normal(10, CHANNELS, seed=1), normal(6, 5, seed=2)
    data["author", "writes", "paper"].edge_index = torch.stack([integers(6, 20, seed=3), integers(10, 20, seed=4)])
    data["paper", "cites", "paper"].edge_index = torch.stack([integers(10, 25, seed=5), integers(10, 25, seed=6)])
    return transforms.ToUndirected()(data)


def heterogeneous():
    data = _authors()
    layer = gnn.HeteroConv(
        {kind: gnn.SAGEConv((data[kind[0]].num_features, data[kind[2]].num_features), 6) for kind in data.edge_types}
    )
    outputs = fill(layer)(data.x_dict, data.edge_index_dict)
    sum((output * output).sum() for output in outputs.values()).backward()
    return {"outputs": outputs, "gradients": gradients(layer), "flat": data.to_homogeneous().edge_index}


def heterogeneous_attention():
    data = _authors()
    layer = gnn.HGTConv({"paper": CHANNELS, "author": 5}, 8, data.metadata(), heads=2)
    return fill(layer)(data.x_dict, data.edge_index_dict)


def links():
    graph = _graph()
    encoder = gnn.GCN(CHANNELS, 16, 2, 8)
    model = fill(gnn.GAE(encoder))
    z = model.encode(graph.x, graph.edge_index)
    negative = torch.stack([integers(NODES, 30, seed=20), integers(NODES, 30, seed=21)])
    model.recon_loss(z, graph.edge_index, negative).backward()
    area, precision = model.test(z, graph.edge_index, negative)
    table = fill(gnn.DistMult(NODES, 3, 8))
    scores = table(graph.edge_index[0], integers(3, EDGES, seed=8), graph.edge_index[1])
    return {"area": area, "precision": precision, "gradients": gradients(model), "scores": scores}


def sequences_and_text():
    model = gnn.Sequential(
        "x, edge_index, batch",
        [
            (gnn.GCNConv(CHANNELS, 16), "x, edge_index -> x"),
            torch.nn.ReLU(inplace=True),
            (gnn.global_mean_pool, "x, batch -> x"),
            torch.nn.Linear(16, 3),
        ],
    )
    graph = _graph()
    result = _learned(model, graph.x, graph.edge_index, torch.arange(NODES) // 8)
    return {**result, "summary": gnn.summary(model, graph.x, graph.edge_index, graph.y)}
