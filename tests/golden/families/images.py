"""Pooling and resampling of images, channels last."""
import numpy as np
import torch
import torch.nn.functional as F

from oracle import NAN, Draw, case, constant, real, sizes, vjp

POOL = {"max": [None, F.max_pool1d, F.max_pool2d, F.max_pool3d],
        "avg": [None, F.avg_pool1d, F.avg_pool2d, F.avg_pool3d]}


def first(x):
    """Channels from the last axis to where torch has them."""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def pool(kind, x, window, **more):
    n = x.dim() - 2
    w = {"stride": window["size"], "padding": 0, **window}
    size = w.pop("size")
    if kind == "avg":
        more["count_include_pad"] = False
    return POOL[kind][n](first(x), size, **w, **more)


WINDOWS = [((2, 7, 3), {"size": 2}), ((1, 7, 2), {"size": 3, "stride": 2, "padding": 1}),
           ((2, 4, 6, 3), {"size": 2}), ((1, 5, 6, 2), {"size": [3, 2], "stride": [1, 2]}),
           ((1, 5, 5, 2), {"size": 3, "stride": 2, "padding": 1}), ((1, 4, 4, 4, 1), {"size": 2}),
           ((1, 3, 1, 1), {"size": 1}), ((0, 4, 4, 2), {"size": 2})]


def pools():
    d = Draw("pool")
    for shape, window in WINDOWS + [((1, 7, 7, 2), {"size": 3, "stride": 1, "dilation": 2})]:
        x = real(d.distinct(*shape))
        note = f"{sizes(shape)}, {', '.join(f'{k} {v}' for k, v in window.items())}"
        y, at = pool("max", x.v, window, return_indices=True)
        case("max_pool", [x, window], last(y), note)
        case("argmax_pool", [x, window], last(at) + 1, note)
        if "dilation" not in window:
            case("avg_pool", [x, window], last(pool("avg", x.v, window)), note)
    for shape, window in WINDOWS[:5]:
        image = torch.zeros(shape, requires_grad=True)
        y = last(pool("avg", image, window))
        g = real(d.normal(*y.shape))
        case("avg_unpool", [g, list(shape[1:-1]), window], vjp(y, [image], g.v)[0],
             f"{sizes(shape)}")
    x = real([1, 1, 1, 1, 2, 2, 0, 2], (1, 2, 4, 1))
    case("max_pool", [x, {"size": 2}], last(pool("max", x.v, {"size": 2})), "ties")
    x = constant(d.distinct(1, 4, 4, 1))
    x = constant(np.where(x.v.numpy() == x.v.numpy()[0, 1, 1, 0], NAN, x.v.numpy()))
    case("max_pool", [x, {"size": 2}], last(pool("max", x.v, {"size": 2})), "NaN")
    x = real(d.distinct(1, 6, 4, 2)).transpose(2, 3)
    case("max_pool", [x, {"size": 2}], last(pool("max", x.v, {"size": 2})), "transposed")
    x = real(d.normal(1, 4, 1, 2)).expand(1, 4, 4, 2)
    case("avg_pool", [x, {"size": 2}], last(pool("avg", x.v, {"size": 2})), "stride 0")
    for shape, to in (((2, 7, 3), [3]), ((1, 5, 7, 2), [3, 4]), ((1, 4, 4, 2), [1, 1]),
                      ((1, 3, 2, 2), [5, 3]), ((1, 3, 4, 5, 1), [2, 2, 3])):
        x = real(d.distinct(*shape))
        adaptive = [None, F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d]
        case("adaptive_avg_pool", [x, to], last(adaptive[len(to)](first(x.v), to)),
             f"{sizes(shape)} to {sizes(to)}")
        adaptive = [None, F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d]
        y, at = adaptive[len(to)](first(x.v), to, return_indices=True)
        case("adaptive_max_pool", [x, to], last(y), f"{sizes(shape)} to {sizes(to)}")
        case("adaptive_argmax_pool", [x, to], last(at) + 1, f"{sizes(shape)} to {sizes(to)}")


def resized(x, to, mode):
    names = {"nearest": "nearest", "area": "area", "bicubic": "bicubic",
             "bilinear": [None, "linear", "bilinear", "trilinear"][len(to)]}
    options = {"align_corners": False} if mode in ("bilinear", "bicubic") else {}
    return last(F.interpolate(first(x), to, mode=names[mode], **options))


def resizes():
    d = Draw("resize")
    for mode in ("nearest", "bilinear", "bicubic", "area"):
        for shape, to in (((1, 4, 5, 2), [8, 10]), ((1, 7, 5, 1), [3, 2]), ((1, 3, 4, 2), [5, 4]),
                          ((1, 1, 1, 2), [2, 3]), ((1, 5, 2), [8]), ((1, 2, 3, 2, 1), [4, 2, 3])):
            if mode == "bicubic" and len(to) != 2:
                continue                                 # torch has it for two axes alone
            x = real(d.normal(*shape))
            case("resize", [x, to, mode], resized(x.v, to, mode),
                 f"{mode}, {sizes(shape)} to {sizes(to)}")
            g = real(d.normal(shape[0], *to, shape[-1]))
            image = torch.zeros(shape, requires_grad=True)
            if len(to) == 2:
                case("unresize", [g, list(shape[1:-1]), mode],
                     vjp(resized(image, to, mode), [image], g.v)[0],
                     f"{mode}, {sizes(to)} to {sizes(shape)}")
        x = real(d.normal(1, 4, 3, 2)).transpose(2, 3)
        case("resize", [x, [3, 5], mode], resized(x.v, [3, 5], mode), f"{mode}, transposed")


def sampled(x, grid, outside):
    mode = {"zero": "zeros", "border": "border"}[outside]
    return last(F.grid_sample(first(x), grid, padding_mode=mode, align_corners=False))


def grids():
    d = Draw("grid")
    for outside in ("zero", "border"):
        for low, note in ((-0.75, "inside"), (-1.5, "some outside")):
            # odd multiples of 1/64 beside images of 4 and 5 meet no kink
            x = real(d.normal(2, 4, 5, 2))
            grid = real(d.uniform(2, 3, 3, 2, low=low, high=-low) + 1 / 128)
            case("grid_sample", [x, grid, outside], sampled(x.v, grid.v, outside),
                 f"{outside}, {note}")
            g, image = real(d.normal(2, 3, 3, 2)), torch.zeros(2, 4, 5, 2, requires_grad=True)
            case("grid_spread", [g, grid, [4, 5], outside],
                 vjp(sampled(image, grid.v, outside), [image], g.v)[0], f"{outside}, {note}",
                 grad=False)


def make():
    pools()
    resizes()
    grids()
