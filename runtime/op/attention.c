/* Scaled dot-product attention (Vaswani et al. 2017, eq. 1) and its first derivative, which is a
   row of its own; what follows from that is composed of operations, with the scores in memory. */

#include <math.h>
#include <string.h>

#include "kernel/attend.h"
#include "op/op.h"

typedef struct {
  peri__attend a;
  peri_tensor *q, *k, *v;       /* with packed rows */
  peri_dims batch;
} attention;

/* --- shapes --- */

static peri_dims lead_of (const peri_tensor *x) {
  peri_dims d = peri_shape_of(x);
  d.n -= 2;
  return d;
}

static peri_dims with_rows (peri_dims batch, int64_t rows, int64_t size) {
  batch.at[batch.n++] = rows;
  batch.at[batch.n++] = size;
  return batch;
}

/* Do the heads of x lie inside its positions, as those of a projection cut into heads
   do? */
static bool heads_inside (const peri_tensor *x) {
  return x->ndim > 2 && x->stride[x->ndim - 3] < x->stride[x->ndim - 2];
}

static void exchange (peri_dims *d) {
  int64_t size = d->at[d->n - 2];
  d->at[d->n - 2] = d->at[d->n - 3];
  d->at[d->n - 3] = size;
}

/* A packed x, seen as `shape`; in memory its last two batch axes are exchanged when `inside`. */
static void lay_out (peri_tensor *x, peri_dims shape, bool inside) {
  if (inside) exchange(&shape);
  peri__set_shape(x, shape);
  if (!inside) return;
  exchange(&shape);
  int64_t step = x->stride[shape.n - 2];
  x->stride[shape.n - 2] = x->stride[shape.n - 3];
  x->stride[shape.n - 3] = step;
  memcpy(x->shape, shape.at, sizeof x->shape);
}

static peri_layout lead_layout (const peri_tensor *x, peri_dims batch) {
  peri_tensor lead = *x;
  lead.ndim = (uint8_t) (x->ndim - 2);
  return peri__layout(&lead, batch);
}

static peri__rows rows_of (const peri_tensor *x, peri_dims batch) {
  int64_t step = x->stride[x->ndim - 2], size = x->shape[x->ndim - 1];
  if (x->shape[x->ndim - 2] <= 1 || step < size) step = size > 1 ? size : 1;
  return (peri__rows) {.data = x->data, .step = step, .lead = lead_layout(x, batch)};
}

/* x with packed rows that a product can step over. */
static peri_tensor *with_packed_rows (peri_tensor *x) {
  int last = x->ndim - 1;
  bool packed = x->shape[last] == 1 || x->stride[last] == 1;
  bool apart = x->shape[last - 1] <= 1 || x->stride[last - 1] >= x->shape[last];
  return packed && apart && x->stride[last - 1] <= INT32_MAX ? x : peri_clone(x);
}

/* --- the call --- */

static bool check_shapes (const peri_call *c, attention *t) {
  peri_tensor *q = c->in[0], *k = c->in[1], *v = c->in[2], *mask = c->in[3];
  const char *name = peri_ops[c->op].name;
  char tq[PERI_SHAPETEXT], tk[PERI_SHAPETEXT];
  peri_dims scores;
  if (q->ndim < 2 || k->ndim < 2 || v->ndim < 2)
    return peri_fail(PERI_E_SHAPE, "%s: q has shape %s and k %s; want (.., time, size), two axes "
                     "or more, and v likewise", name, peri_shape_text(q, tq),
                     peri_shape_text(k, tk)), false;
  if (q->shape[q->ndim - 1] != k->shape[k->ndim - 1])
    return peri_fail(PERI_E_SHAPE, "%s: q of shape %s and k of shape %s: their last axes must be "
                     "equal", name, peri_shape_text(q, tq), peri_shape_text(k, tk)), false;
  if (k->shape[k->ndim - 2] != v->shape[v->ndim - 2])
    return peri_fail(PERI_E_SHAPE, "%s: k of shape %s and v of shape %s: their axes before last "
                     "must be equal", name, peri_shape_text(k, tk), peri_shape_text(v, tq)), false;
  if (!peri__broadcast_dims(name, lead_of(q), lead_of(k), &t->batch)
      || !peri__broadcast_dims(name, t->batch, lead_of(v), &t->batch)) return false;
  scores = with_rows(t->batch, q->shape[q->ndim - 2], k->shape[k->ndim - 2]);
  if (mask->dtype == PERI_INDEX)
    return peri_fail(PERI_E_TYPE, "%s: mask is index; give bytes, 1 where q may look, or reals to "
                     "add", name), false;
  for (int i = 1; i <= mask->ndim; i++)
    if (mask->ndim > scores.n || (mask->shape[mask->ndim - i] != 1
                                  && mask->shape[mask->ndim - i] != scores.at[scores.n - i]))
      return peri_fail(PERI_E_SHAPE, "%s: mask of shape %s does not broadcast to the scores' %s",
                       name, peri_shape_text(mask, tk), peri__dims_text(scores, tq)), false;
  for (int i = 0; i < scores.n; i++)
    if (scores.at[i] > INT32_MAX)
      return peri_fail(PERI_E_SHAPE, "%s: an axis of the scores %s has more than 2^31 places", name,
                       peri__dims_text(scores, tq)), false;
  return true;
}

static bool changes_nothing (const peri_tensor *mask) {
  return mask->ndim == 0 && mask->dtype == PERI_REAL && *(const peri_real *) mask->data == 0;
}

static double scale_of (const peri_args *a, int64_t size) {
  return a->f[0] != 0 ? a->f[0] : 1 / sqrt(size > 0 ? (double) size : 1);
}

static peri__bias bias_of (peri_tensor *mask, peri_dims batch, int64_t tq, int64_t tk) {
  if (changes_nothing(mask)) return (peri__bias) {.data = NULL};
  peri__bias b = {.data = mask->data, .bytes = mask->dtype == PERI_BYTE};
  int n = mask->ndim;
  if (n > 0 && mask->shape[n - 1] == tk && tk > 1) b.column = mask->stride[n - 1];
  if (n > 1 && mask->shape[n - 2] == tq && tq > 1) b.row = mask->stride[n - 2];
  peri_tensor lead = *mask;
  lead.ndim = (uint8_t) (n > 2 ? n - 2 : 0);
  b.lead = peri__layout(&lead, batch);
  return b;
}

/* Fill t from the call; false with a failure. */
static bool prepare (const peri_call *c, attention *t) {
  if (!check_shapes(c, t)) return false;
  t->q = with_packed_rows(c->in[0]);
  t->k = with_packed_rows(c->in[1]);
  t->v = with_packed_rows(c->in[2]);
  if (!t->q || !t->k || !t->v) return false;
  peri__attend *a = &t->a;
  a->count = peri_count(t->batch);
  a->tq = t->q->shape[t->q->ndim - 2];
  a->tk = t->k->shape[t->k->ndim - 2];
  a->d = t->q->shape[t->q->ndim - 1];
  a->dv = t->v->shape[t->v->ndim - 1];
  a->causal = c->a.keep;
  a->scale = (peri_real) scale_of(&c->a, a->d);
  a->q = rows_of(t->q, t->batch);
  a->k = rows_of(t->k, t->batch);
  a->v = rows_of(t->v, t->batch);
  a->bias = bias_of(c->in[3], t->batch, a->tq, a->tk);
  return true;
}

/* Masks and `causal` in one: the result lies in memory as q does, so that joining the heads again
   copies nothing. */
peri_tensor *peri__attention_forward (const peri_call *c) {
  attention t;
  if (!prepare(c, &t)) return NULL;
  peri_dims shape = with_rows(t.batch, t.a.tq, t.a.dv);
  peri_tensor *y = peri_empty(PERI_REAL, shape);
  if (!y) return NULL;
  lay_out(y, shape, heads_inside(c->in[0]));
  peri__rows out = rows_of(y, t.batch);
  return peri__attend_forward(&t.a, &out) ? y : NULL;
}

/* --- the pieces of attention_grad's result --- */

static int64_t piece_size (peri_dims batch, const peri_tensor *x) {
  return peri_count(batch) * x->shape[x->ndim - 2] * x->shape[x->ndim - 1];
}

/* Elements from..  of flat as a gradient of x, in the order x has in memory. */
static peri_tensor *piece (peri_tensor *flat, int64_t from, peri_dims batch, const peri_tensor *x) {
  peri_dims shape = with_rows(batch, x->shape[x->ndim - 2], x->shape[x->ndim - 1]);
  bool inside = heads_inside(x) && batch.n > 0;
  if (inside) exchange(&shape);
  peri_tensor *y = peri_reshape(peri_slice(flat, 0, from, from + piece_size(batch, x), 1), shape);
  return inside ? peri_transpose(y, -3, -2) : y;
}

static peri_dims batch_of (const peri_node *n) {
  peri_dims d = {.n = 0};
  for (int i = 0; i < 3; i++) peri__broadcast_dims("attention", d, lead_of(peri_input(n, i)), &d);
  return d;
}

/* Where the gradient of x is written: at `from` of flat. */
static peri__rows rows_in (peri_tensor *flat, int64_t from, peri_dims batch, const peri_tensor *x) {
  peri_tensor y = {.data = (peri_real *) flat->data + from};
  lay_out(&y, with_rows(batch, x->shape[x->ndim - 2], x->shape[x->ndim - 1]),
          heads_inside(x) && batch.n > 0);
  return rows_of(&y, batch);
}

peri_tensor *peri__attention_grad_forward (const peri_call *c) {
  attention t;
  char tg[PERI_SHAPETEXT], ty[PERI_SHAPETEXT];
  peri_tensor *g = c->in[4];
  if (!prepare(c, &t)) return NULL;
  peri_dims shape = with_rows(t.batch, t.a.tq, t.a.dv);
  if (!peri__has_shape(g, shape))
    return peri_null(PERI_E_SHAPE, "attention_grad: g has shape %s and the result of attention %s; "
                     "make them equal", peri_shape_text(g, tg), peri__dims_text(shape, ty));
  int64_t nq = piece_size(t.batch, t.q), nk = piece_size(t.batch, t.k);
  peri_tensor *flat = peri_empty(PERI_REAL, peri_shape(1, nq + nk + piece_size(t.batch, t.v)));
  g = with_packed_rows(g);
  if (!flat || !g) return NULL;
  peri__rows dy = rows_of(g, t.batch), dq = rows_in(flat, 0, t.batch, c->in[0]);
  peri__rows dk = rows_in(flat, nq, t.batch, c->in[1]);
  peri__rows dv = rows_in(flat, nq + nk, t.batch, c->in[2]);
  return peri__attend_backward(&t.a, &dy, &dq, &dk, &dv) ? flat : NULL;
}

/* --- in operations --- */

/* x' in the last two axes */
static peri_tensor *flipped (peri_tensor *x) {
  return peri_transpose(x, -2, -1);
}

/* Bytes, 1 where the diagonal lets query i see key j. */
static peri_tensor *diagonal (int64_t tq, int64_t tk) {
  peri_tensor *m = peri_empty(PERI_BYTE, peri_shape(2, tq, tk));
  for (int64_t i = 0; m && i < tq; i++)
    for (int64_t j = 0; j < tk; j++) ((uint8_t *) m->data)[i * tk + j] = j <= i + tk - tq;
  return m;
}

/* x where a query may look, else c: by the diagonal, and by bytes or by reals of minus infinity. */
static peri_tensor *where_seen (const peri_node *n, peri_tensor *x, double c) {
  peri_tensor *mask = peri_input(n, 3), *q = peri_input(n, 0), *k = peri_input(n, 1);
  peri_tensor *other = peri_number(c);
  if (n->a.keep)
    x = peri_where(diagonal(q->shape[q->ndim - 2], k->shape[k->ndim - 2]), x, other);
  if (mask->dtype == PERI_BYTE) return peri_where(mask, x, other);
  if (changes_nothing(mask)) return x;
  return peri_where(peri_ne(peri_detach(mask), peri_number(-INFINITY)), x, other);
}

/* softmax(scale q k' + mask), 0 in rows that see nothing.  What is not seen is so low that it is 0.
   */
static peri_tensor *probabilities (const peri_node *n) {
  peri_tensor *q = peri_input(n, 0), *mask = peri_input(n, 3);
  peri_tensor *s = peri_matmul(scale(q, scale_of(&n->a, q->shape[q->ndim - 1])),
                               flipped(peri_input(n, 1)));
  if (mask->dtype == PERI_REAL && !(changes_nothing(mask) && !mask->node)) s = peri_add(s, mask);
  if (s && s->count == 0) return s;
  return where_seen(n, peri_softmax(where_seen(n, s, -1e30), -1), 0);
}

/* p (x - sum of p x): the derivative of softmax along the last axis, towards x */
static peri_tensor *softmax_grad (peri_tensor *p, peri_tensor *x) {
  return peri_mul(p, peri_sub(x, peri_sum(peri_mul(p, x), one_axis(-1), true)));
}

/* g has the result's shape.  By q, k and v: attention_grad; by a mask that is added: the derivative
   of the scores. */
void peri__attention_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *q = peri_input(n, 0), *k = peri_input(n, 1), *v = peri_input(n, 2);
  peri_dims batch = batch_of(n);
  if (peri_wanted(n, 0) || peri_wanted(n, 1) || peri_wanted(n, 2)) {
    peri_tensor *flat = peri_attention_grad(q, k, v, peri_input(n, 3), g, n->a.keep, n->a.f[0]);
    int64_t nq = piece_size(batch, q), nk = piece_size(batch, k);
    if (peri_wanted(n, 0)) dx[0] = piece(flat, 0, batch, q);
    if (peri_wanted(n, 1)) dx[1] = piece(flat, nq, batch, k);
    if (peri_wanted(n, 2)) dx[2] = piece(flat, nq + nk, batch, v);
  }
  if (peri_wanted(n, 3)) dx[3] = softmax_grad(probabilities(n), peri_matmul(g, flipped(v)));
}

/* Let (a, b, c) be the gradient by (dq, dk, dv), u the scale, p the probabilities, e = g v' and
   ds = p (e - sum of p e).  With f = u (a k' + q b') the scores' change and h = g c', what is
   derived is
     L = sum of ds f + sum of p h,
   whose derivatives are  by f: ds,  by h: p,  by e: x = p (f - sum of p f),
   and by the scores: y = the derivative of softmax towards
     e f - e sum(p f) - f sum(p e) + h. */
void peri__attention_grad_vjp (const peri_node *n, peri_tensor *z, peri_tensor **dx) {
  peri_tensor *q = peri_input(n, 0), *k = peri_input(n, 1), *v = peri_input(n, 2);
  peri_dims batch = batch_of(n);
  int64_t nq = piece_size(batch, q), nk = piece_size(batch, k);
  double u = scale_of(&n->a, q->shape[q->ndim - 1]);
  peri_tensor *a = piece(z, 0, batch, q), *b = piece(z, nq, batch, k);
  peri_tensor *c = piece(z, nq + nk, batch, v), *g = peri_input(n, 4), *p = probabilities(n);
  peri_tensor *e = peri_matmul(g, flipped(v)), *h = peri_matmul(g, flipped(c));
  peri_tensor *f = scale(peri_add(peri_matmul(a, flipped(k)), peri_matmul(q, flipped(b))), u);
  peri_tensor *pe = peri_sum(peri_mul(p, e), one_axis(-1), true);
  peri_tensor *pf = peri_sum(peri_mul(p, f), one_axis(-1), true);
  peri_tensor *ds = peri_mul(p, peri_sub(e, pe)), *x = peri_mul(p, peri_sub(f, pf));
  peri_tensor *w = peri_add(peri_sub(peri_mul(e, peri_sub(f, pf)), peri_mul(f, pe)), h);
  peri_tensor *y = softmax_grad(p, w);
  if (peri_wanted(n, 0)) dx[0] = scale(peri_add(peri_matmul(y, k), peri_matmul(ds, b)), u);
  if (peri_wanted(n, 1))
    dx[1] = scale(peri_add(peri_matmul(flipped(y), q), peri_matmul(flipped(ds), a)), u);
  if (peri_wanted(n, 2)) dx[2] = peri_matmul(flipped(x), g);
  if (peri_wanted(n, 3)) dx[3] = y;
  if (peri_wanted(n, 4)) dx[4] = peri_add(peri_matmul(x, v), peri_matmul(p, c));
}
