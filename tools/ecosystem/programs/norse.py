"""Norse: spiking neurons."""

import norse.torch as snn
import torch

from tools.ecosystem.cases import fill, gradients, normal, uniform


def cells():
    results = {}
    for kind in (snn.LIFCell, snn.LICell, snn.IAFCell, snn.LIFAdExCell, snn.LIFBoxCell):
        cell, state, outputs = kind(), None, []
        x = (5 * normal(6, 4)).requires_grad_()
        for step in x:
            output, state = cell(step, state)
            outputs.append(output)
        spikes = torch.stack(outputs)
        spikes.sum().backward()
        results[kind.__name__] = {"spikes": spikes, "gradient": x.grad}
    return results


def network():
    model = fill(
        snn.SequentialState(
            torch.nn.Conv2d(1, 4, 3), snn.LIFCell(), torch.nn.Flatten(), torch.nn.Linear(144, 5), snn.LICell()
        )
    )
    state = None
    for _ in range(4):
        output, state = model(5 * uniform(2, 1, 8, 8), state)
    output.square().sum().backward()
    return {"output": output} | gradients(model)


def recurrent():
    layer = fill(snn.LIFRecurrent(4, 6))
    spikes, state = layer(3 * uniform(8, 2, 4))
    spikes.sum().backward()
    return {"spikes": spikes, "voltage": state.v} | gradients(layer)


def encoders():
    return (
        snn.SpikeLatencyLIFEncoder(8)(3 * uniform(4)),
        snn.ConstantCurrentLIFEncoder(8)(3 * uniform(4)),
        snn.PopulationEncoder(5)(uniform(4)),
    )
