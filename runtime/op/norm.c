/* Normalisations.  All are one formula over (batch, rows, groups, width): y = h w + b with
   h = (x - mean) r, r = 1 / sqrt(variance + eps), mean and variance over rows and width.  Their
   first derivatives are one fused row, norm_grad, whose own is written in elementary operations. */

#include "kernel/normalize.h"

#include <math.h>
#include <string.h>

#include "op/op.h"

/* The words of norm_grad, in order. */
typedef enum { LAYER, RMS, GROUP, BATCH } family;
static const char *const names[] = {"layer_norm", "rms_norm", "group_norm", "batch_norm"};

/* How x of this shape is grouped; false with a failure. */
static bool grouping (family f, const peri_tensor *x, int64_t groups, double eps, peri__norm *s) {
  char text[PERI_SHAPETEXT];
  int least = f == GROUP ? 2 : 1;
  if (x->ndim < least)
    return peri_fail(PERI_E_SHAPE, "%s: x has shape %s; want %s", names[f],
                     peri_shape_text(x, text),
                     f == GROUP ? "(batch, .., channels)" : "(.., channels)"), false;
  if (!(eps > 0) || isinf(eps))
    return peri_fail(PERI_E_ARGUMENT, "%s: eps is %g; give a finite number > 0", names[f],
                     eps), false;
  int64_t channels = x->shape[x->ndim - 1], lead = 1, rows = 1;
  if (f == GROUP && (groups < 1 || channels % groups))
    return peri_fail(PERI_E_SHAPE, "group_norm: groups is %lld and x of shape %s has %lld "
                     "channels; groups must divide them", (long long) groups,
                     peri_shape_text(x, text), (long long) channels), false;
  for (int i = 0; i + 1 < x->ndim; i++) *(f == GROUP && i > 0 ? &rows : &lead) *= x->shape[i];
  *s = (peri__norm) {.batch = lead, .rows = rows, .groups = 1, .width = channels, .eps = eps,
                     .centred = f != RMS};
  if (f == BATCH)
    *s = (peri__norm) {1, lead, channels, 1, true, eps};
  if (f == GROUP) {
    s->groups = groups;
    s->width = channels / groups;
  }
  return true;
}

/* w or b, one number or one a channel, as numbers of every channel; NULL with a failure. */
static const peri_real *per_channel (family f, const char *label, peri_tensor *w,
                                     const peri_tensor *x) {
  char tw[PERI_SHAPETEXT], tx[PERI_SHAPETEXT];
  int64_t channels = x->shape[x->ndim - 1];
  if (w->ndim > 1 || (w->ndim == 1 && w->shape[0] != channels))
    return peri_null(PERI_E_SHAPE, "%s: %s has shape %s and x %s; %s must be a number or have "
                     "shape (%lld)", names[f], label, peri_shape_text(w, tw),
                     peri_shape_text(x, tx), label, (long long) channels);
  if (w->ndim == 0) w = peri__expand_to(w, peri_shape(1, channels));
  w = w ? peri__packed(w) : NULL;
  return w ? w->data : NULL;
}

/* b is NULL for a normalisation without one. */
static peri_tensor *normalize (const peri_call *c, family f, peri_tensor *w, peri_tensor *b) {
  peri_tensor *x = c->in[0], *none = b ? NULL : peri_number(0);
  peri__norm s;
  if ((!b && !none) || !grouping(f, x, c->a.i[0], c->a.f[0], &s)) return NULL;
  const peri_real *wide = per_channel(f, "w", w, x);
  const peri_real *base = wide ? per_channel(f, "b", b ? b : none, x) : NULL;
  peri_tensor *y = base ? peri_empty(PERI_REAL, peri_shape_of(x)) : NULL;
  x = y ? peri__packed(x) : NULL;
  return x && peri__normalize(&s, x->data, wide, base, y->data) ? y : NULL;
}

/* Elements from..from + n of the packed derivatives as a small tensor of its own, so that what is
   kept of it does not keep the rest. */
static peri_tensor *cut_out (peri_tensor *packed, int64_t from, int64_t n) {
  return peri_contiguous(peri_slice(packed, 0, from, from + n, 1));
}

static void normalize_vjp (const peri_node *n, family f, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0);
  int64_t channels = x->shape[x->ndim - 1], count = x->count;
  if (!peri_wanted(n, 0) && !peri_wanted(n, 1)) {
    dx[2] = g;
    return;
  }
  peri_tensor *d = peri_norm_grad(g, x, peri_input(n, 1), f, n->a.i[0], n->a.f[0]);
  dx[0] = peri_reshape(peri_slice(d, 0, 0, count, 1), peri_shape_of(x));
  if (peri_wanted(n, 1)) dx[1] = cut_out(d, count, channels);
  if (n->nin > 2 && peri_wanted(n, 2)) dx[2] = cut_out(d, count + channels, channels);
}

/* Ba, Kiros & Hinton 2016, eq. 4: one group a row. */
peri_tensor *peri__layer_norm_forward (const peri_call *c) {
  return normalize(c, LAYER, c->in[1], c->in[2]);
}
void peri__layer_norm_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  normalize_vjp(n, LAYER, g, dx);
}

/* Zhang & Sennrich 2019, eq. 4: the mean square in place of the variance, no centring. */
peri_tensor *peri__rms_norm_forward (const peri_call *c) {
  return normalize(c, RMS, c->in[1], NULL);
}
void peri__rms_norm_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  normalize_vjp(n, RMS, g, dx);
}

/* Wu & He 2018, eq. 7.  With as many groups as channels: instance normalisation (Ulyanov, Vedaldi &
   Lempitsky 2016). */
peri_tensor *peri__group_norm_forward (const peri_call *c) {
  return normalize(c, GROUP, c->in[1], c->in[2]);
}
void peri__group_norm_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  normalize_vjp(n, GROUP, g, dx);
}

/* Ioffe & Szegedy 2015, algorithm 1, with the statistics of this batch. */
peri_tensor *peri__batch_norm_forward (const peri_call *c) {
  return normalize(c, BATCH, c->in[1], c->in[2]);
}
void peri__batch_norm_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  normalize_vjp(n, BATCH, g, dx);
}

/* --- the first derivative, and its own --- */

peri_tensor *peri__norm_grad_forward (const peri_call *c) {
  peri_tensor *g = c->in[0], *x = c->in[1], *w = c->in[2];
  family f = (family) c->a.mode;
  char tg[PERI_SHAPETEXT], tx[PERI_SHAPETEXT];
  peri__norm s;
  if (!grouping(f, x, c->a.i[0], c->a.f[0], &s)) return NULL;
  if (!peri__same_shape(g, x))
    return peri_null(PERI_E_SHAPE, "norm_grad: g has shape %s and x %s; make them equal",
                     peri_shape_text(g, tg), peri_shape_text(x, tx));
  int64_t channels = x->shape[x->ndim - 1];
  const peri_real *wide = per_channel(f, "w", w, x);
  peri_tensor *d = wide ? peri_empty(PERI_REAL, peri_shape(1, x->count + 2 * channels)) : NULL;
  g = d ? peri__packed(g) : NULL;
  x = g ? peri__packed(x) : NULL;
  if (!x) return NULL;
  peri_real *dx = d->data, *dw = dx + x->count;
  return peri__normalize_grad(&s, g->data, x->data, wide, dx, dw, dw + channels) ? d : NULL;
}

/* Mean over a group of a tensor of shape (batch, rows, groups, width). */
static peri_tensor *group_mean (peri_tensor *x) {
  return peri_mean(x, (peri_dims) {2, {1, 3}}, true);
}

/* What the group's statistics let through: v - mean v - h mean(v h), a symmetric map. */
static peri_tensor *project (peri_tensor *v, peri_tensor *h, bool centred) {
  peri_tensor *along = peri_mul(h, group_mean(peri_mul(v, h)));
  if (centred) v = peri_sub(v, group_mean(v));
  return peri_sub(v, along);
}

/* With P = project, p = g w and the arriving derivative split into (D, s, t) like (dx, dw, db),
   what is differentiated is F = D . r P(p) + s . g h + t . g, where dh = r P(dx) and
   dr = -r^2 mean(h dx):
   dF/dg = w r P(D) + s h + t
   dF/dx = r P(g s - r (D mean(p h) + p mean(D h))) - r^2 h mean(D P(p))
   dF/dw = sum over batch and rows of g r P(D) */
void peri__norm_grad_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 1), *w = peri_input(n, 2);
  peri_dims whole = peri_shape_of(x);
  int64_t count = x->count, channels = whole.at[whole.n - 1];
  peri__norm k;
  if (!grouping((family) n->a.mode, x, n->a.i[0], n->a.f[0], &k)) return;
  if (count == 0) {
    dx[0] = dx[1] = peri_full(PERI_REAL, whole, 0);
    dx[2] = peri_full(PERI_REAL, peri_shape(1, channels), 0);
    return;
  }
  peri_dims four = {4, {k.batch, k.rows, k.groups, k.width}}, two = {2, {k.groups, k.width}};
  peri_tensor *d = peri_reshape(peri_slice(g, 0, 0, count, 1), four);
  peri_tensor *s = peri_reshape(peri_slice(g, 0, count, count + channels, 1), two);
  peri_tensor *t = peri_reshape(peri_slice(g, 0, count + channels, PERI_END, 1), two);
  peri_tensor *g0 = peri_reshape(peri_input(n, 0), four), *h = peri_reshape(x, four);
  if (w->ndim) w = peri_reshape(w, two);
  if (k.centred) h = peri_sub(h, group_mean(h));
  peri_tensor *r = peri_rsqrt(peri_add(group_mean(peri_square(h)), peri_number(k.eps)));
  h = peri_mul(h, r);
  peri_tensor *p = peri_mul(g0, w), *dp = peri_mul(r, project(d, h, k.centred));
  if (peri_wanted(n, 0))
    dx[0] = peri_reshape(peri_add(peri_add(peri_mul(w, dp), peri_mul(s, h)), t), whole);
  if (peri_wanted(n, 1)) {
    peri_tensor *mixed = peri_add(peri_mul(d, group_mean(peri_mul(p, h))),
                                  peri_mul(p, group_mean(peri_mul(d, h))));
    peri_tensor *q = peri_sub(peri_mul(g0, s), peri_mul(r, mixed));
    peri_tensor *size = group_mean(peri_mul(d, project(p, h, k.centred)));
    peri_tensor *along = peri_mul(h, peri_mul(peri_square(r), size));
    dx[1] = peri_reshape(peri_sub(peri_mul(r, project(q, h, k.centred)), along), whole);
  }
  if (peri_wanted(n, 2)) {
    peri_tensor *sums = peri_sum(peri_mul(g0, dp), (peri_dims) {2, {0, 1}}, false);
    dx[2] = peri_reshape(sums, peri_shape(1, channels));
  }
}

/* --- statistics of a batch --- */

peri_tensor *peri__batch_moments_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  char text[PERI_SHAPETEXT];
  int64_t channels = x->ndim ? x->shape[x->ndim - 1] : 0;
  if (x->ndim < 1 || (x->count == 0 && channels > 0))
    return peri_null(PERI_E_SHAPE, "batch_moments: x has shape %s; want (.., channels) with at "
                     "least one entry", peri_shape_text(x, text));
  peri_tensor *y = peri_empty(PERI_REAL, peri_shape(2, (int64_t) 2, channels));
  x = y ? peri__packed(x) : NULL;
  if (!x) return NULL;
  int64_t rows = channels ? x->count / channels : 0;
  return peri__column_moments(x->data, rows, channels, y->data) ? y : NULL;
}

/* dx = (g1 + 2 g2 (x - mean)) / n */
void peri__batch_moments_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0);
  peri_dims lead = {.n = x->ndim - 1};
  int64_t channels = x->shape[x->ndim - 1];
  double k = channels && x->count ? (double) channels / (double) x->count : 0;
  for (int i = 0; i < lead.n; i++) lead.at[i] = i;
  peri_dims row = peri_shape(1, channels);
  peri_tensor *first = peri_reshape(peri_slice(g, 0, 0, 1, 1), row);
  peri_tensor *second = peri_reshape(peri_slice(g, 0, 1, 2, 1), row);
  peri_tensor *d = lead.n && x->count ? peri_sub(x, peri_mean(x, lead, true)) : peri_sub(x, x);
  dx[0] = peri_add(peri_mul(d, scale(second, 2 * k)), scale(first, k));
}
