"""Normalisation, attention, recurrence, and autoregressive estimators."""
import torch
import torch.nn.functional as F

from oracle import INF, Draw, byte, case, constant, real, vjp


def flat(parts):
    return torch.cat([p.reshape(-1) for p in parts])


def grouped(x, groups, w, b, eps):
    return F.group_norm(x.movedim(-1, 1), groups, w, b, eps).movedim(1, -1)


def batched(x, w, b, eps):
    rows = F.batch_norm(x.reshape(-1, x.shape[-1]), None, None, w, b, True, 0.1, eps)
    return rows.reshape(x.shape)


def norms():
    d = Draw("norms")
    for shape, eps in (((3, 4), 1e-5), ((2, 3, 6), 0.5), ((0, 4), 1e-5)):
        n = shape[-1]
        x, w, b = real(d.normal(*shape)), real(d.normal(n)), real(d.normal(n))
        case("layer_norm", [x, w, b, eps], F.layer_norm(x.v, (n,), w.v, b.v, eps),
             f"{shape}, eps {eps}")
        case("rms_norm", [x, w, eps], F.rms_norm(x.v, (n,), w.v, eps), f"{shape}, eps {eps}")
    x = real(d.normal(3, 5))
    case("layer_norm", [x], F.layer_norm(x.v, (5,)), "neither weight nor bias")
    case("rms_norm", [x], F.rms_norm(x.v, (5,), eps=1e-5), "no weight")
    x = real(d.normal(5, 3)).transpose(1, 2)
    case("layer_norm", [x], F.layer_norm(x.v, (5,)), "transposed")
    x = real(d.normal(3, 1))
    case("layer_norm", [x], F.layer_norm(x.v, (1,)), "an axis of size 1")
    for shape, groups in (((2, 3, 6), 2), ((2, 2, 3, 4), 4), ((2, 5, 4), 1)):
        n = shape[-1]
        x, w, b = real(d.normal(*shape)), real(d.normal(n)), real(d.normal(n))
        case("group_norm", [x, w, b, groups, 1e-5], grouped(x.v, groups, w.v, b.v, 1e-5),
             f"{shape}, {groups} groups")
        case("batch_norm", [x, w, b, 1e-3], batched(x.v, w.v, b.v, 1e-3), str(shape))
        var, mean = torch.var_mean(x.v.reshape(-1, n), 0, correction=0)
        case("batch_moments", [x], torch.stack([mean, var]), str(shape))
    x, w, b = real(d.normal(2, 3, 4)), real(d.normal(4)), real(d.normal(4))
    g = real(d.normal(2, 3, 4))
    for over, y in (("layer", F.layer_norm(x.v, (4,), w.v, b.v, 1e-3)),
                    ("group", grouped(x.v, 2, w.v, b.v, 1e-3)),
                    ("batch", batched(x.v, w.v, b.v, 1e-3))):
        groups = 2 if over == "group" else 1
        case("norm_grad", [g, x, w, over, groups, 1e-3], flat(vjp(y, [x.v, w.v, b.v], g.v)), over)


def attend(q, k, v, mask, causal, scale):
    """By hand, so that it can be differentiated twice; checked against torch's own."""
    scores = scale * q @ k.transpose(-1, -2)
    known = None
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = torch.where(mask, scores, -INF) if mask.dtype == torch.bool else scores + mask
    known = F.scaled_dot_product_attention(q, k, v, mask, scale=scale)
    y = torch.softmax(scores, -1) @ v
    assert torch.allclose(y, known, atol=1e-12)
    return y


def attention():
    d = Draw("attention")

    def inputs(*shape, keys=None):
        rows = keys or shape[-2]
        return [real(d.normal(*shape)), real(d.normal(*shape[:-2], rows, shape[-1])),
                real(d.normal(*shape[:-2], rows, shape[-1]))]

    for shape, keys, causal, scale in (((2, 2, 3, 4), None, False, 0.5), ((2, 4), 5, False, 0.5),
                                       ((2, 4, 4), None, True, 0.5),
                                       ((1, 2, 3, 8), None, True, 2.0),
                                       ((1, 1, 1), None, True, 1.0)):
        q, k, v = inputs(*shape, keys=keys)
        case("attention", [q, k, v, None, causal, scale],
             attend(q.v, k.v, v.v, None, causal, scale),
             f"{shape}, {keys or shape[-2]} keys, causal {causal}, scale {scale}")
    q, k, v = inputs(2, 3, 4)
    case("attention", [q, k, v], attend(q.v, k.v, v.v, None, False, 0.5), "scale absent")
    m = byte([[1, 0, 1], [1, 1, 0], [0, 0, 1]])
    case("attention", [q, k, v, m], attend(q.v, k.v, v.v, m.v, False, 0.5), "byte mask")
    m = constant(d.normal(3, 3))
    case("attention", [q, k, v, m], attend(q.v, k.v, v.v, m.v, False, 0.5), "real mask, added")
    m = byte([[1, 0, 1], [0, 0, 0], [0, 1, 1]])
    case("attention", [q, k, v, m], F.scaled_dot_product_attention(q.v, k.v, v.v, m.v),
         "a query that may look nowhere")
    m = constant([[0, -INF, 1], [-INF, 0, 2], [0, 0, -INF]])
    case("attention", [q, k, v, m], attend(q.v, k.v, v.v, m.v, False, 0.5), "real mask with -inf")
    q, k, v = real(d.normal(3, 4, scale=200)), real(d.normal(3, 4, scale=50)), real(d.normal(3, 4))
    case("attention", [q, k, v], attend(q.v, k.v, v.v, None, False, 0.5), "large scores")
    q, k, v = inputs(1, 70, 2)
    case("attention", [q, k, v, None, True, 0.5], attend(q.v, k.v, v.v, None, True, 0.5),
         "causal, a long sequence")
    q = real(d.normal(2, 4, 3)).transpose(2, 3)
    k, v = real(d.normal(1, 3, 4)).expand(2, 3, 4), real(d.normal(2, 3, 8)).slice(3, 1, 7, 2)
    case("attention", [q, k, v], attend(q.v, k.v, v.v, None, False, 0.5),
         "transposed, stride 0 and sliced")
    q, k, v = inputs(2, 3, 4)
    g = real(d.normal(2, 3, 4))
    for causal in (False, True):
        y = attend(q.v, k.v, v.v, None, causal, 0.5)
        case("attention_grad", [q, k, v, constant(0, ()), g, causal, 0.5],
             flat(vjp(y, [q.v, k.v, v.v], g.v)), f"causal {causal}")


def recurrences():
    d = Draw("recurrences")
    for batch, time, wide, hidden in ((2, 4, 3, 5), (1, 1, 2, 1), (3, 6, 1, 2)):
        x = real(d.normal(batch, time, wide))
        h, c = real(d.normal(batch, hidden)), real(d.normal(batch, hidden))
        note = f"batch {batch}, time {time}, {wide} to {hidden}"
        wx, wh, b = (real(d.normal(wide, 4 * hidden)), real(d.normal(hidden, 4 * hidden)),
                     real(d.normal(4 * hidden)))
        flat_weights = [wx.v.T, wh.v.T, b.v, torch.zeros_like(b.v)]
        hs, cs, state = [], [], (h.v[None], c.v[None])
        for t in range(time):
            y, *state = torch._VF.lstm(x.v[:, t:t + 1], tuple(state), flat_weights, True, 1, 0.0,
                                       False, False, True)
            hs.append(state[0][0])
            cs.append(state[1][0])
        states = torch.stack([torch.stack(hs, 1), torch.stack(cs, 1)])
        case("lstm", [x, h, c, wx, wh, b], states, note)
        wx, wh = real(d.normal(wide, 3 * hidden)), real(d.normal(hidden, 3 * hidden))
        b, bh = real(d.normal(3 * hidden)), real(d.normal(3 * hidden))
        y, _ = torch._VF.gru(x.v, h.v[None], [wx.v.T, wh.v.T, b.v, bh.v], True, 1, 0.0, False,
                             False, True)
        case("gru", [x, h, wx, wh, b, bh], y, note)


def estimate(x, w, b, v, c):
    """NADE, unit by unit: Larochelle and Murray 2011, eq. 9 and 10."""
    logits, a = [], c.expand(x.shape[0], -1)
    for i in range(x.shape[1]):
        logits.append(b[i] + torch.sigmoid(a) @ v[i])
        a = a + x[:, i:i + 1] * w[i]
    return torch.stack(logits, 1)


def estimators():
    d = Draw("estimators")
    for batch, visible, hidden in ((3, 5, 4), (1, 1, 1), (2, 9, 3)):
        x = real(d.rng.integers(0, 2, (batch, visible)))
        w, b = real(d.normal(visible, hidden)), real(d.normal(visible))
        v, c = real(d.normal(visible, hidden)), real(d.normal(hidden))
        y = estimate(x.v, w.v, b.v, v.v, c.v)
        note = f"batch {batch}, {visible} visible, {hidden} hidden"
        case("nade", [x, w, b, v, c], y, note)
        g = real(d.normal(batch, visible))
        case("nade_grad", [g, x, w, v, c],
             flat(vjp(y, [x.v, w.v, v.v, b.v, c.v], g.v)), note)
        u = constant(d.uniform(batch, visible) * 63 / 64 + 1 / 128)
        draw = torch.zeros(batch, visible)
        for i in range(visible):
            logits = estimate(draw, w.v, b.v, v.v, c.v).detach()
            draw[:, i] = (u.v[:, i] < torch.sigmoid(logits[:, i])).double()
        case("nade_sample", [u, w, b, v, c], draw, note)
    x, w = constant(d.rng.integers(0, 2, (4, 3))), constant(d.normal(3, 5))
    b, u = constant(d.normal(5)), constant(d.uniform(4, 5))
    case("gibbs", [x, w, b, u], (u.v < torch.sigmoid(x.v @ w.v + b.v)).double())


def make():
    norms()
    attention()
    recurrences()
    estimators()
