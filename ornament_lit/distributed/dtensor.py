"""The part of a sharded parameter that a process has, and the whole; one that is not sharded is its own part."""

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def local(parameter: Tensor) -> Tensor:
    """The values of a parameter that this process has, without gradient; all of them where it is not sharded."""
    values = parameter.detach()
    return values.to_local() if isinstance(values, DTensor) else values


def part_of(whole: Tensor, parameter: Tensor) -> Tensor:
    """This process's part of whole values, as its part of a parameter; to be called on each rank."""
    if not isinstance(parameter, DTensor):
        return whole
    return distribute_tensor(whole.to(parameter.device), parameter.device_mesh, parameter.placements).to_local()


def whole_of(part: Tensor, parameter: Tensor) -> Tensor:
    """Put the parts of all processes together, on the CPU; to be called on each rank, and only the first one gets it.

    Where the parameter is not sharded, the part is all there is, and is returned as it is.
    """
    if not isinstance(parameter, DTensor):
        return part
    shape, stride = parameter.shape, parameter.stride()
    sharded = DTensor.from_local(part, parameter.device_mesh, parameter.placements, shape=shape, stride=stride)
    whole = sharded.full_tensor()
    return whole.cpu() if torch.distributed.get_rank() == 0 else whole.new_empty(0)
