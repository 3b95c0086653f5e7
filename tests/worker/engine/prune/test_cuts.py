"""Cuts as plain values: written, read, applied, refused."""

import json
from typing import Any

import pytest
import torch
from torch import nn

from worker.engine.errors import InvalidModel
from worker.engine.models.cifar_resnet import Shortcut
from worker.engine.prune.cuts import Cut, Place, apply_cuts, cuts_of


def cut(kept: list[int], of: int, where: str) -> Cut:
    places = []
    for word in where.split():
        name, _, axis = word.rpartition(":")
        places.append(Place(name, int(axis) if axis.isdigit() else axis))
    return Cut(tuple(kept), of, tuple(places))


def test_a_cut_is_written_as_ranges_and_read_back() -> None:
    original = cut([0, 1, 2, 5, 7, 8], 9, "a.weight:0 b.weight:1")
    document = original.to_json()
    assert document == {"kept": "0-2,5,7-8", "of": 9, "where": "a.weight:0 b.weight:1"}
    assert Cut.from_json(json.loads(json.dumps(document))) == original


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"kept": "0", "of": 2},
        {"kept": "0", "of": 2, "where": ""},
        {"kept": "0", "of": 2, "where": "weight"},
        {"kept": "0", "of": True, "where": "weight:0"},
        {"kept": "0-9999999", "of": 2, "where": "weight:0"},
        {"kept": "1,0", "of": 2, "where": "weight:0"},
        {"kept": "0,0", "of": 2, "where": "weight:0"},
        {"kept": "", "of": 2, "where": "weight:0"},
        {"kept": "0", "of": 2, "where": "weight:__class__"},
    ],
)
def test_a_malformed_cut_is_an_invalid_model(document: object) -> None:
    with pytest.raises(InvalidModel):
        Cut.from_json(document)


def test_cutting_two_layers_keeps_the_named_weights_and_renames_the_sizes() -> None:
    net: Any = nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1))
    weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    apply_cuts(
        net,
        [
            cut([1, 3], 4, "0.weight:0 0.bias:0 2.weight:1"),
            cut([1, 3], 4, "1.weight:0 1.bias:0 1.running_mean:0 1.running_var:0"),
        ],
    )
    assert torch.equal(net[0].weight, weights["0.weight"][[1, 3]])
    assert torch.equal(net[2].weight, weights["2.weight"][:, [1, 3]])
    assert (net[0].out_channels, net[1].num_features, net[2].in_channels) == (2, 2, 2)
    assert net(torch.zeros(1, 2, 4, 4)).shape == (1, 3, 4, 4)


def test_cuts_compose_in_sequence() -> None:
    net = nn.Linear(2, 4)
    third = net.weight[3].clone()
    apply_cuts(net, [cut([0, 2, 3], 4, "weight:0 bias:0")])
    apply_cuts(net, [cut([2], 3, "weight:0 bias:0")])
    assert torch.equal(net.weight[0], third)
    assert net.out_features == 1


def test_a_depthwise_convolution_loses_groups_and_a_grouped_one_does_not() -> None:
    depthwise, grouped = nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(8, 4, 1, groups=2)
    apply_cuts(depthwise, [cut([0, 5], 6, "weight:0 bias:0")])
    apply_cuts(grouped, [cut([1, 2], 4, "weight:1")])
    assert (depthwise.groups, depthwise.in_channels, depthwise.out_channels) == (2, 2, 2)
    assert (grouped.groups, grouped.in_channels, grouped.out_channels) == (2, 4, 4)


def test_a_channels_last_weight_stays_channels_last() -> None:
    net = nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)
    apply_cuts(net, [cut([0, 1, 2], 8, "weight:0 bias:0")])
    assert net.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "where", ["nothing.weight:0", "weight:1", "gain:0", "weight:heads", "x:in"]
)
def test_a_cut_that_does_not_fit_the_network_is_an_invalid_model(where: str) -> None:
    with pytest.raises(InvalidModel):
        apply_cuts(nn.Linear(7, 4), [cut([0], 4, where)])


def test_a_shortcut_shows_zero_for_a_channel_that_no_longer_comes() -> None:
    # Two channels into four: [zero, 0, 1, zero].
    shortcut = Shortcut(channels=2, width=4, stride=1)
    shortcut.keep_inputs([1])
    x = torch.tensor([7.0]).reshape(1, 1, 1, 1)
    assert shortcut(x).flatten().tolist() == [0, 0, 7, 0]
    shortcut.keep_outputs([1, 2])
    assert shortcut(x).flatten().tolist() == [0, 7]


def test_a_shortcut_with_gaps_picks_its_channels() -> None:
    shortcut = Shortcut(channels=4, width=6, stride=1)  # [zero, 0, 1, 2, 3, zero]
    shortcut.keep_outputs([0, 1, 3, 4])
    x = torch.tensor([5.0, 6.0, 7.0, 8.0]).reshape(1, 4, 1, 1)
    assert shortcut(x).flatten().tolist() == [0, 5, 7, 8]


def test_cuts_are_found_among_the_steps_of_a_config() -> None:
    one = cut([0], 2, "weight:0")
    steps: list[dict[str, object]] = [
        {"kind": "distill"},
        {"kind": "prune", "cuts": [one.to_json()]},
    ]
    assert cuts_of(steps) == [(one,)]
    with pytest.raises(InvalidModel):
        cuts_of([{"cuts": "all"}])
