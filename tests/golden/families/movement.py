"""Views, copies in another order, and indexing."""
import numpy as np
import torch
import torch.nn.functional as F

from oracle import Draw, case, index, real, sizes, vjp


def shapes():
    d = Draw("shapes")
    for shape in ((6, 4), (2, -1, 2), (24,)):
        x = real(d.normal(2, 3, 4))
        case("reshape", [x, shape], x.v.reshape(shape), f"to {sizes(shape)}")
    x = real(d.normal(3, 4)).transpose(1, 2)
    case("reshape", [x, [2, 6]], x.v.reshape(2, 6), "transposed")
    x = real(d.normal(0, 3))
    case("reshape", [x, [3, 0]], x.v.reshape(3, 0), "empty")
    x = real(d.normal(3, 1))
    case("expand", [x, [2, 3, 4]], x.v.expand(2, 3, 4), "a new axis and one of size 1")
    x = real(d.normal(1))
    case("expand", [x, [0, 2]], x.v.expand(0, 2), "to nothing")
    x = real(d.normal(2, 3, 4))
    for axes in ((3, 1, 2), (1, 3, 2), (-1, 1, -2)):
        case("permute", [x, axes], x.v.permute([a - 1 if a > 0 else a for a in axes]),
             f"axes {sizes(axes)}")
    case("transpose", [x], x.v.transpose(-2, -1), "the last two axes")
    case("transpose", [x, 1, -1], x.v.transpose(0, 2), "axes 1 and -1")
    case("contiguous", [x.transpose(1, 3)], x.v.transpose(0, 2).contiguous(), "transposed")
    for args, at in (((2, 2), slice(1, None)), ((2, -2), slice(-2, None)),
                     ((2, 1, -2), slice(0, -1)), ((2, 1, -1, 2), slice(0, None, 2)),
                     ((2, 2, 1), slice(1, 1))):
        case("slice", [x, *args], x.v[:, at], f"slice {sizes(args)}")
    y = torch.zeros(2, 9, 4)
    y[:, [1, 4, 7]] = x.v
    case("unslice", [x, 2, 2, 3, 9], y)
    for axis in (1, 2, -1):
        case("flip", [x, axis], x.v.flip(axis - 1 if axis > 0 else axis), f"axis {axis}")
    x, y = real(d.normal(2, 3)), real(d.normal(2, 1))
    case("concat", [[x, y, x], -1], torch.cat([x.v, y.v, x.v], -1), "a tensor twice", grad=False)
    case("concat", [[x, y], 2], torch.cat([x.v, y.v], 1), "axis 2")
    y = real(d.normal(0, 3))
    case("concat", [[x, y]], torch.cat([x.v, y.v]), "an empty one among them")
    x, y = real(d.normal(2, 3)), real(d.normal(3, 2)).transpose(1, 2)
    for axis in (1, 2, -1):
        case("stack", [[x, y], axis], torch.stack([x.v, y.v], axis - 1 if axis > 0 else axis),
             f"axis {axis}, one transposed")


def rearranged():
    d = Draw("rearranged")
    for shift, axis in ((1, 1), (-2, 2), (7, -1), (0, 1)):
        x = real(d.normal(3, 4))
        case("roll", [x, shift, axis], x.v.roll(shift, axis - 1 if axis > 0 else axis),
             f"{shift} along axis {axis}")
    x = real(d.normal(2, 3))
    for counts in ((2,), (2, 3), (2, 1, 2), (0, 1)):
        case("tile", [x, counts], x.v.tile(counts), f"counts {sizes(counts)}")
    x = real(d.normal(2, 3, 4))
    for k in (0, -1, 2, 5):
        case("tril", [x, k], x.v.tril(k), f"diagonal {k}")
        case("triu", [x, k], x.v.triu(k), f"diagonal {k}")
    x = real(d.normal(4, 3)).transpose(1, 2)
    case("tril", [x], x.v.tril(), "transposed")
    for r in (2, 3):
        x = real(d.normal(1, r, 2 * r, 2))
        case("space_to_depth", [x, r], F.pixel_unshuffle(x.v.movedim(-1, 1), r).movedim(1, -1),
             f"blocks of {r}")
        x = real(d.normal(1, 1, 2, 2 * r * r))
        case("depth_to_space", [x, r], F.pixel_shuffle(x.v.movedim(-1, 1), r).movedim(1, -1),
             f"blocks of {r}")


MODES = {"zero": None, "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def padded(x, axis, before, after, mode):
    """numpy.pad says where each entry comes from."""
    n = x.shape[axis - 1]
    if mode == "zero":
        at = np.pad(np.arange(n) + 1, (before, after))
        x = torch.cat([torch.zeros_like(x.narrow(axis - 1, 0, 1)), x], axis - 1)
    else:
        at = np.pad(np.arange(n), (before, after), mode=MODES[mode])
    return x.index_select(axis - 1, torch.as_tensor(at))


def pads():
    d = Draw("pad")
    for mode in MODES:
        for axis, before, after in ((1, 1, 2), (2, 3, 0), (3, 2, 3)):
            x = real(d.normal(3, 5, 4))
            case("pad", [x, axis, before, after, mode], padded(x.v, axis, before, after, mode),
                 f"{mode}, axis {axis}")
        x = real(d.normal(5, 3)).transpose(1, 2)
        case("pad", [x, 2, 2, 1, mode], padded(x.v, 2, 2, 1, mode), f"{mode}, transposed")
        g = real(d.normal(2, 8))
        x = torch.zeros(2, 5, requires_grad=True)
        case("unpad", [g, 2, 1, 2, mode], vjp(padded(x, 2, 1, 2, mode), [x], g.v)[0], mode)


def placed(op, x, at, axis, n):
    """torch's in-place adding, into zeros of n along axis."""
    shape = list(x.shape)
    shape[axis - 1] = n
    return getattr(torch.zeros(shape), op)(axis - 1, at, x)


def indexing():
    d = Draw("indexing")
    for axis in (1, 2, 3):
        x = real(d.normal(3, 4, 2))
        n = x.v.shape[axis - 1]
        i = index(d.index(n, 5))
        case("index_select", [x, i, axis], x.v.index_select(axis - 1, i.v),
             f"axis {axis}, repeated")
        x, i = real(d.normal(3, 4, 2)), index(d.index(6, (3, 4, 2)[axis - 1]))
        case("index_add", [x, i, axis, 6], placed("index_add", x.v, i.v, axis, 6), f"axis {axis}")
        shape = [3, 4, 2]
        shape[axis - 1] = 3
        i = index(d.index(n, *shape))
        case("gather", [x, i, axis], x.v.gather(axis - 1, i.v), f"axis {axis}")
        i = index(d.index(5, 3, 4, 2))
        case("scatter_add", [x, i, axis, 5], placed("scatter_add", x.v, i.v, axis, 5),
             f"axis {axis}")
    x, i = real(d.normal(4, 3)).transpose(1, 2), index([2, 2, 1])
    case("index_select", [x, i, 1], x.v.index_select(0, i.v), "transposed")
    x, i = real(d.normal(3, 2)), index([], (0,))
    case("index_select", [x, i, 1], x.v.index_select(0, i.v), "nothing taken")
    x, i = real(d.normal(3, 1)).expand(3, 4), index(d.index(3, 2, 4))
    case("gather", [x, i, 1], x.v.gather(0, i.v), "stride 0")
    i = index(d.index(4, 2, 3))
    case("one_hot", [i, 4], F.one_hot(i.v, 4).double())
    i = index([], (0,))
    case("one_hot", [i, 3], F.one_hot(i.v, 3).double(), "empty")


def make():
    shapes()
    rearranged()
    pads()
    indexing()
