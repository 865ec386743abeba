"""Matrix products, decompositions, diagonals."""
import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F

from oracle import NAN, Draw, case, constant, real


def products():
    d = Draw("products")
    for a, b in (((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (3, 4, 2)), ((1, 4), (4, 1)),
                 ((5, 2, 3, 4), (5, 2, 4, 3)), ((3, 0), (0, 2)), ((0, 3), (3, 2)),
                 ((8, 33), (33, 9))):
        x, y = real(d.normal(*a)), real(d.normal(*b))
        case("matmul", [x, y], x.v @ y.v, f"{a} by {b}")
    x, y = real(d.normal(4, 3)).transpose(1, 2), real(d.normal(5, 4)).transpose(1, 2)
    case("matmul", [x, y], x.v @ y.v, "both transposed")
    x, y = real(d.normal(1, 4)).expand(3, 4), real(d.normal(9, 5)).slice(1, 2, 8, 2)
    case("matmul", [x, y], x.v @ y.v, "stride 0 and every second row")
    x, y = constant([[1, NAN], [2, 3]]), constant([[1, 0], [0, 1]])
    case("matmul", [x, y], x.v @ y.v, "NaN")
    for lead in ((3,), (2, 3), (0,)):
        x, w, b = real(d.normal(*lead, 4)), real(d.normal(4, 5)), real(d.normal(5))
        case("linear", [x, w, b], x.v @ w.v + b.v, f"x of {len(lead) + 1} axes")
    case("linear", [x, w], x.v @ w.v, "no bias, empty")
    x = real(d.normal(4, 3)).transpose(1, 2)
    case("linear", [x, w, 0.25], x.v @ w.v + 0.25, "a number for bias, transposed")
    x, w, b = real(d.distinct(3, 4)), real(d.normal(4, 5)), real(d.normal(5))
    y = x.v @ w.v + b.v
    for name, f in (("relu", F.relu), ("tanh", torch.tanh), ("sigmoid", torch.sigmoid)):
        case("dense", [x, w, b, name], f(y), name)
    case("dense", [x, w, b, "leaky_relu", 0.125], F.leaky_relu(y, 0.125), "leaky_relu")


def einsum():
    d = Draw("einsum")
    sizes = {"i": 2, "j": 3, "k": 4, "b": 2}
    for spec in ("ij,jk->ik", "ij,jk->", "ij->ji", "ii->i", "ii", "bij,bjk->bik", "i,j->ij",
                 "ij,ij->i", "ij,jk,ki->k", "bij,kj->bki"):
        x = [real(d.normal(*(sizes[c] for c in letters)))
             for letters in spec.split("->")[0].split(",")]
        case("einsum", [spec, *x], torch.einsum(spec, *(a.v for a in x)), spec)


def definite(d, *shape):
    a = d.normal(*shape)
    return np.round((a @ a.swapaxes(-1, -2) / 2 + np.eye(shape[-1])) * 64) / 64


def even(x):
    return (x + x.transpose(-1, -2)) / 2


def signs(vectors):
    """Of the largest entries of a column the first is made positive."""
    at = vectors.detach().abs().argmax(-2, keepdim=True)
    return vectors.detach().gather(-2, at).sign()


def square():
    d = Draw("square")
    for shape in ((3, 3), (2, 4, 4), (1, 1), (0, 3, 3)):
        note = str(shape)
        p, x = real(definite(d, *shape)), real(d.normal(*shape, scale=0.5) + 2 * np.eye(shape[-1]))
        case("cholesky", [p], torch.linalg.cholesky(even(p.v)), note)
        case("inverse", [x], torch.linalg.inv(x.v), note)
        sign, log = torch.linalg.slogdet(x.v)
        case("logdet", [x], log, note)
        case("det_sign", [x], sign.detach(), note)
        values, vectors = torch.linalg.eigh(even(p.v))
        case("eigvalsh", [p], values, note)
        vectors = vectors * signs(vectors)
        case("eigh_packed", [p], torch.cat([values.unsqueeze(-2), vectors], -2), note)
        case("sqrtm", [p], vectors * values.sqrt().unsqueeze(-2) @ vectors.transpose(-1, -2), note)
        b = real(d.normal(*shape[:-1], 2))
        case("solve", [x, b], torch.linalg.solve(x.v, b.v), note)
        for lower in (True, False):
            t = torch.tril(x.v) if lower else torch.triu(x.v)
            case("solve_triangular", [x, b, lower], torch.linalg.solve_triangular(
                t, b.v, upper=not lower), f"{note}, {'lower' if lower else 'upper'}")
            case("solve_triangular", [x, b, lower, True], torch.linalg.solve_triangular(
                t.transpose(-1, -2), b.v, upper=lower), f"{note}, {lower}, transposed")
    x = constant([[2, 4], [1, 2]])
    case("logdet", [x], torch.linalg.slogdet(x.v)[1], "singular")
    case("det_sign", [x], torch.linalg.slogdet(x.v)[0], "singular")
    p = real(definite(d, 3, 3)).transpose(1, 2)
    case("cholesky", [p], torch.linalg.cholesky(even(p.v)), "transposed")
    p = real(definite(d, 3, 3))
    b = real(d.normal(3, 3))
    eye = torch.eye(3)
    system = torch.kron(even(p.v), eye) + torch.kron(eye, even(p.v))
    y = torch.linalg.solve(system, b.v.reshape(9)).reshape(3, 3)
    known = scipy.linalg.solve_continuous_lyapunov(p.v.detach().numpy(), b.v.detach().numpy())
    assert np.allclose(y.detach().numpy(), known, atol=1e-12)
    case("lyapunov", [p, b], y)


def rectangular():
    d = Draw("rectangular")
    for shape in ((4, 3), (3, 3), (2, 5, 2), (1, 3), (3, 1)):
        x, k = real(d.normal(*shape)), min(shape[-2:])
        if shape[-2] >= shape[-1]:
            q, r = torch.linalg.qr(x.v)
            positive = torch.diagonal(r, dim1=-2, dim2=-1).detach().sign().unsqueeze(-2)
            case("qr_q", [x], q * positive, str(shape))
        case("svdvals", [x], torch.linalg.svdvals(x.v), str(shape))
        u, s, v = torch.linalg.svd(x.v, full_matrices=False)
        sign = signs(u)
        packed = torch.cat([u * sign, s.unsqueeze(-2), v.transpose(-1, -2) * sign], -2)
        case("svd_packed", [x], packed, f"{shape}, rank {k}")


def diagonals():
    d = Draw("diagonals")
    for shape in ((3, 4), (4, 3), (2, 3, 3), (0, 2)):
        x = real(d.normal(*shape))
        y = torch.diagonal(x.v, dim1=-2, dim2=-1)
        case("diagonal", [x], y, str(shape))
        case("trace", [x], y.sum(-1), str(shape))
        case("diag_embed", [x], torch.diag_embed(x.v), str(shape))
    x = real(d.normal(3, 2)).transpose(1, 2)
    case("trace", [x], torch.diagonal(x.v).sum(), "transposed")


def make():
    products()
    einsum()
    square()
    rectangular()
    diagonals()
