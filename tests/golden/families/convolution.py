"""Convolution, its adjoint in the image and its adjoint in the filter, channels last."""
import torch
import torch.nn.functional as F

from oracle import Draw, case, real, vjp

CONV = [None, F.conv1d, F.conv2d, F.conv3d]
TRANSPOSED = [None, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d]


def first(x):
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def filters(w):
    """(spatial.., in, out) as torch has it: (out, in, spatial..)."""
    return w.movedim(-1, 0).movedim(-1, 1)


def convolve(x, w, b, window):
    return last(CONV[x.dim() - 2](first(x), filters(w), b, **window))


def transpose(x, w, b, window):
    """w (spatial.., out / groups, in): torch has (in, out / groups, spatial..)."""
    return last(TRANSPOSED[x.dim() - 2](first(x), filters(w), b, **window))


# x, w, window
SHAPES = [
    ((2, 7, 3), (3, 3, 4), {}),
    ((1, 9, 2), (3, 2, 2), {"stride": 2, "padding": 1, "dilation": 2}),
    ((2, 6, 4), (3, 2, 6), {"groups": 2, "padding": 1}),
    ((2, 4, 5, 3), (3, 3, 3, 2), {"padding": 1}),
    ((2, 5, 6, 2), (3, 2, 2, 3), {"stride": [2, 1], "padding": [1, 0]}),
    ((1, 7, 7, 2), (3, 3, 2, 2), {"dilation": 2, "padding": 2}),
    ((1, 8, 8, 2), (4, 4, 2, 3), {"stride": 2, "padding": 1}),
    ((1, 6, 6, 4), (3, 3, 1, 4), {"groups": 4, "padding": 1}),
    ((1, 6, 6, 4), (3, 3, 1, 8), {"groups": 4, "stride": 2}),
    ((1, 5, 5, 4), (3, 3, 2, 2), {"groups": 2, "dilation": 2, "padding": 2, "stride": 2}),
    ((2, 3, 3, 5), (1, 1, 5, 4), {}),
    ((1, 5, 5, 3), (1, 1, 3, 2), {"stride": 2}),
    ((1, 1, 1, 3), (3, 3, 3, 2), {"padding": 1}),
    ((1, 4, 4, 1), (4, 4, 1, 2), {}),
    ((1, 3, 4, 3, 2), (2, 2, 2, 2, 3), {}),
    ((1, 4, 4, 4, 2), (3, 3, 3, 1, 2), {"groups": 2, "stride": 2, "padding": 1}),
    ((1, 4, 5, 8), (3, 3, 8, 7), {"padding": 1}),
    ((0, 4, 4, 2), (3, 3, 2, 3), {"padding": 1}),
]
# the window's output padding is between the sizes that a stride of 2 makes alike
BACK = [
    ((2, 5, 3), (3, 4, 3), {}),
    ((1, 5, 2), (4, 3, 2), {"stride": 2, "padding": 1}),
    ((1, 4, 2), (3, 2, 2), {"stride": 3, "dilation": 2, "output_padding": 1}),
    ((2, 3, 4, 3), (3, 3, 2, 3), {"padding": 1}),
    ((1, 3, 3, 2), (4, 4, 3, 2), {"stride": 2, "padding": 1}),
    ((1, 3, 4, 2), (3, 3, 2, 2), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((1, 3, 3, 2), (3, 2, 2, 2), {"stride": [2, 1], "padding": [1, 0], "output_padding": [1, 0]}),
    ((1, 3, 3, 4), (3, 3, 3, 4), {"groups": 2, "stride": 2}),
    ((1, 4, 4, 4), (3, 3, 1, 4), {"groups": 4, "padding": 1}),
    ((1, 3, 3, 2), (3, 3, 2, 2), {"dilation": 2, "padding": 1}),
    ((1, 2, 2, 3), (2, 2, 2, 3), {"stride": 2}),
    ((1, 3, 3, 8), (3, 3, 7, 8), {"stride": 2, "padding": 1}),
    ((1, 1, 1, 3), (4, 4, 2, 3), {}),
    ((1, 2, 3, 2, 2), (2, 2, 2, 3, 2), {"stride": 2, "output_padding": 1}),
]


def note(x, w, window):
    return f"{x} by {w}" + "".join(f", {k} {v}" for k, v in window.items())


def given(window):
    return [window] if window else []


def make():
    d = Draw("convolution")
    for sx, sw, window in SHAPES:
        x, w, b = real(d.normal(*sx)), real(d.normal(*sw)), real(d.normal(sw[-1]))
        y = convolve(x.v, w.v, b.v, window)
        case("conv", [x, w, b, *given(window)], y, note(sx, sw, window))
        if sx[0]:
            g, w = real(d.normal(*y.shape)), torch.zeros(sw, requires_grad=True)
            case("conv_weight", [x, g, {"size": list(sw[:-2]), **window}],
                 vjp(convolve(x.v, w, None, window), [w], g.v)[0], note(sx, sw, window))
    for sx, sw, window in BACK:
        groups = window.get("groups", 1)
        x, w, b = real(d.normal(*sx)), real(d.normal(*sw)), real(d.normal(sw[-2] * groups))
        case("conv_transpose", [x, w, b, *given(window)], transpose(x.v, w.v, b.v, window),
             note(sx, sw, window))
    x, w = real(d.normal(1, 4, 5, 2)), real(d.normal(3, 3, 2, 3))
    case("conv", [x, w], convolve(x.v, w.v, None, {}), "no bias")
    v = real(d.normal(3, 3, 3, 2))
    case("conv_transpose", [x, v], transpose(x.v, v.v, None, {}), "no bias")
    x = real(d.normal(1, 5, 4, 2)).transpose(2, 3)
    case("conv", [x, w], convolve(x.v, w.v, None, {}), "transposed")
    x = real(d.normal(1, 4, 1, 2)).expand(1, 4, 4, 2)
    case("conv", [x, w], convolve(x.v, w.v, None, {}), "stride 0")
    x = real(d.normal(1, 8, 5, 2)).slice(2, 2, 8, 2)
    case("conv", [x, w], convolve(x.v, w.v, None, {}), "every second row")
