/* LSTM and GRU over whole sequences.  Behind the states that a call returns, their storage holds
   the gates, for the derivative.  Where a derivative of the derivative is asked for, the first one
   is composed of operations, step by step, and so can be differentiated to any order; else it is
   fused. */

#include <string.h>

#include "kernel/recur.h"
#include "memory.h"
#include "op/op.h"

/* --- what both have in common --- */

typedef struct {
  peri__sizes s;
  int gates;                            /* blocks of columns of wx and wh */
  peri_tensor *x, *h0, *c0, *wx, *wh, *b, *bh;
} recurrence;

static bool is_shape (const peri_call *c, const char *name, const peri_tensor *x, peri_dims want) {
  char tx[PERI_SHAPETEXT], tw[PERI_SHAPETEXT], t0[PERI_SHAPETEXT];
  if (peri__has_shape(x, want)) return true;
  peri_fail(PERI_E_SHAPE, "%s: %s has shape %s, want %s for x of shape %s", peri_ops[c->op].name,
            name, peri_shape_text(x, tx), peri__dims_text(want, tw), peri_shape_text(c->in[0], t0));
  return false;
}

/* Check the inputs' shapes and fill r with them as they are. */
static bool read_call (const peri_call *c, recurrence *r) {
  bool lstm = c->op == PERI_OP_lstm;
  peri_tensor *x = c->in[0], *h = c->in[1];
  char tx[PERI_SHAPETEXT], th[PERI_SHAPETEXT];
  *r = (recurrence) {.gates = lstm ? 4 : 3, .x = x, .h0 = h, .c0 = lstm ? c->in[2] : NULL,
                     .wx = c->in[lstm ? 3 : 2], .wh = c->in[lstm ? 4 : 3], .b = c->in[lstm ? 5 : 4],
                     .bh = lstm ? NULL : c->in[5]};
  if (x->ndim != 3 || h->ndim != 2 || h->shape[0] != x->shape[0] || h->shape[1] < 1)
    return peri_fail(PERI_E_SHAPE, "%s: x has shape %s and h %s; want (batch, time, in) and "
                     "(batch, hidden) with hidden of 1 or more", peri_ops[c->op].name,
                     peri_shape_text(x, tx), peri_shape_text(h, th)), false;
  r->s = (peri__sizes) {x->shape[0], x->shape[1], x->shape[2], h->shape[1]};
  int64_t width = r->gates * r->s.hidden;
  return (!r->c0 || is_shape(c, "c", r->c0, peri_shape_of(h)))
         && is_shape(c, "wx", r->wx, peri_shape(2, r->s.in, width))
         && is_shape(c, "wh", r->wh, peri_shape(2, r->s.hidden, width))
         && is_shape(c, "b", r->b, peri_shape(1, width))
         && (!r->bh || is_shape(c, "bh", r->bh, peri_shape(1, width)));
}

/* The call of a node once more. */
static void read_node (const peri_node *n, recurrence *r) {
  peri_tensor *in[PERI_MAXINPUT];
  for (int i = 0; i < n->nin; i++) in[i] = peri_input(n, i);
  read_call(&(peri_call) {.op = (peri_opcode) n->op, .nin = n->nin, .in = in}, r);
}

static bool pack (recurrence *r) {
  peri_tensor **list[] = {&r->x, &r->h0, &r->c0, &r->wx, &r->wh, &r->b, &r->bh};
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
    if (*list[i] && !(*list[i] = peri__packed(*list[i]))) return false;
  return true;
}

/* (batch, time, n hidden) */
static peri_dims steps_shape (const recurrence *r, int n) {
  return peri_shape(3, r->s.batch, r->s.time, n * r->s.hidden);
}

static int64_t plane (const recurrence *r) {
  return r->s.batch * r->s.time * r->s.hidden;
}

/* A tensor of `shape` with room for `behind` more planes behind it. */
static peri_tensor *with_room (const recurrence *r, peri_dims shape, int behind) {
  int64_t planes = behind + (shape.n == 4 ? shape.at[0] : 1);
  peri_tensor *y = peri_empty(PERI_REAL, peri_shape(4, planes, r->s.batch, r->s.time, r->s.hidden));
  if (y) peri__set_shape(y, shape);
  return y;
}

static bool project (const recurrence *r, peri_real *a) {
  return peri__project(r->s.batch * r->s.time, r->s.in, r->gates * r->s.hidden, r->x->data,
                       r->wx->data, r->b->data, a);
}

/* Is a derivative of the derivative going to be asked for? */
static bool recording (void) {
  bool was = peri_set_recording(true);
  peri_set_recording(was);
  return was;
}

/* --- in operations --- */

static peri_tensor *at_step (peri_tensor *x, int64_t t) {
  return peri_slice(x, 1, t, t + 1, 1);
}

/* Block k of the last axis. */
static peri_tensor *block (const recurrence *r, peri_tensor *x, int k) {
  return peri_slice(x, -1, k * r->s.hidden, (k + 1) * r->s.hidden, 1);
}

static peri_tensor *join (peri_tensor *a, peri_tensor *b, peri_tensor *c, peri_tensor *d) {
  return peri_concat(d ? 4 : 3, (peri_tensor *[]) {a, b, c, d}, -1);
}

static peri_tensor *one_minus (peri_tensor *x) {
  return peri_sub(peri_number(1), x);
}

static peri_tensor *add_if (peri_tensor *x, peri_tensor *y) {
  return y ? peri_add(x, y) : x;
}

/* The states before each step: the first, then all but the last of x. */
static peri_tensor *before (const recurrence *r, peri_tensor *first, peri_tensor *x) {
  first = peri_reshape(first, peri_shape(3, r->s.batch, (int64_t) 1, r->s.hidden));
  return peri_concat(2, (peri_tensor *[]) {first, peri_slice(x, 1, 0, r->s.time - 1, 1)}, 1);
}

static peri_tensor *as_rows (peri_tensor *x) {
  return x ? peri_reshape(x, peri_shape(2, x->shape[0] * x->shape[1], x->shape[2])) : NULL;
}

static peri_tensor *flipped (peri_tensor *x) {
  return peri_transpose(x, -2, -1);
}

static peri_tensor *as_state (const recurrence *r, peri_tensor *x) {
  return peri_reshape(x, peri_shape(2, r->s.batch, r->s.hidden));
}

/* Gradients of pre-activations and of first states. */
typedef struct { peri_tensor *da, *dp, *dh0, *dc0; } gradients;

/* --- LSTM --- */

/* Gates i, f, g, o stand side by side in wx, wh and b, as in PyTorch:
     c' = sigmoid(f) c + sigmoid(i) tanh(g),  h' = sigmoid(o) tanh(c')
   (Hochreiter & Schmidhuber 1997; Gers et al. 2000). */
peri_tensor *peri__lstm_forward (const peri_call *c) {
  recurrence r;
  if (!read_call(c, &r) || !pack(&r)) return NULL;
  peri_tensor *y = with_room(&r, peri_shape(4, (int64_t) 2, r.s.batch, r.s.time, r.s.hidden), 4);
  if (!y) return NULL;
  peri_real *h = y->data, *cell = h + plane(&r), *a = cell + plane(&r);
  return project(&r, a) && peri__lstm_steps(&r.s, r.h0->data, r.c0->data, r.wh->data, a, h, cell)
         ? y : NULL;
}

static peri_tensor *states (const recurrence *r, peri_tensor *y, int which) {
  return peri_reshape(peri_slice(y, 0, which, which + 1, 1), steps_shape(r, 1));
}

static gradients lstm_fused (const peri_node *n, recurrence *r, peri_tensor *g) {
  gradients d = {peri_empty(PERI_REAL, steps_shape(r, 4)), NULL,
                 peri_empty(PERI_REAL, peri_shape_of(r->h0)),
                 peri_empty(PERI_REAL, peri_shape_of(r->h0))};
  if (!d.da || !d.dh0 || !d.dc0 || !pack(r) || !(g = peri__packed(g))) return (gradients) {NULL};
  const peri_real *cell = (const peri_real *) n->out->data + plane(r), *gh = g->data;
  bool done = peri__lstm_back(&r->s, r->c0->data, r->wh->data, cell + plane(r), cell, gh,
                              gh + plane(r), d.da->data, d.dh0->data, d.dc0->data);
  return done ? d : (gradients) {NULL};
}

/* da = factor (dc, dc, dc, dh), factor the derivatives of c' and h' by the gates; it and what else
   the steps need is made for all of them at once. */
static gradients lstm_composed (const peri_node *n, const recurrence *r, peri_tensor *g) {
  peri_tensor *y = peri_output(n), *c = states(r, y, 1);
  peri_tensor *gh = states(r, g, 0), *gc = states(r, g, 1), *t = peri_tanh(c);
  peri_tensor *a = peri_add(peri_linear(r->x, r->wx, r->b),
                            peri_matmul(before(r, r->h0, states(r, y, 0)), r->wh));
  peri_tensor *gi = peri_sigmoid(block(r, a, 0)), *gf = peri_sigmoid(block(r, a, 1));
  peri_tensor *gg = peri_tanh(block(r, a, 2)), *go = peri_sigmoid(block(r, a, 3));
  peri_tensor *factor = join(peri_sigmoid_grad(gg, gi), peri_sigmoid_grad(before(r, r->c0, c), gf),
                             peri_tanh_grad(gi, gg), peri_sigmoid_grad(t, go));
  peri_tensor *to_cell = peri_tanh_grad(go, t), *wt = flipped(r->wh), *dh = NULL, *dc = NULL;
  size_t size = (size_t) r->s.time * sizeof(peri_tensor *);
  peri_tensor **da = peri__alloc(size);
  if (!da) return (gradients) {NULL};
  for (int64_t k = r->s.time - 1; k >= 0; k--) {
    dh = add_if(at_step(gh, k), dh);
    dc = peri_add(add_if(at_step(gc, k), dc), peri_mul(dh, at_step(to_cell, k)));
    da[k] = peri_mul(at_step(factor, k), join(dc, dc, dc, dh));
    dh = peri_matmul(da[k], wt);
    dc = peri_mul(dc, at_step(gf, k));
  }
  gradients d = {peri_concat((int) r->s.time, da, 1), NULL, as_state(r, dh), as_state(r, dc)};
  peri__free(da, size);
  return d;
}

void peri__lstm_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  recurrence r;
  read_node(n, &r);
  if (r.s.time == 0) return;
  peri_tensor *h0 = r.h0, *x = r.x, *wx = r.wx;
  gradients d = recording() ? lstm_composed(n, &r, g) : lstm_fused(n, &r, g);
  peri_tensor *flat = as_rows(d.da);
  if (peri_wanted(n, 0)) dx[0] = peri_matmul(d.da, flipped(wx));
  dx[1] = d.dh0;
  dx[2] = d.dc0;
  if (peri_wanted(n, 3)) dx[3] = peri_matmul(flipped(as_rows(x)), flat);
  if (peri_wanted(n, 4))
    dx[4] = peri_matmul(flipped(as_rows(before(&r, h0, states(&r, peri_output(n), 0)))), flat);
  dx[5] = d.da;
}

/* --- GRU --- */

/* Gates r, z, n stand side by side in wx, wh, b and bh, as in PyTorch:
     r, z = sigmoid(x wx + b + h wh + bh),  n = tanh(x wx + b + r (h wh + bh)),
     h' = (1 - z) n + z h
   (Cho et al. 2014; r is applied after the product, which makes it one GEMM). */
peri_tensor *peri__gru_forward (const peri_call *c) {
  recurrence r;
  if (!read_call(c, &r) || !pack(&r)) return NULL;
  peri_tensor *y = with_room(&r, steps_shape(&r, 1), 4);
  if (!y) return NULL;
  peri_real *h = y->data, *a = h + plane(&r), *m = a + 3 * plane(&r);
  return project(&r, a) && peri__gru_steps(&r.s, r.h0->data, r.wh->data, r.bh->data, a, m, h)
         ? y : NULL;
}

static gradients gru_fused (const peri_node *n, recurrence *r, peri_tensor *g) {
  gradients d = {peri_empty(PERI_REAL, steps_shape(r, 3)), peri_empty(PERI_REAL, steps_shape(r, 3)),
                 peri_empty(PERI_REAL, peri_shape_of(r->h0)), NULL};
  if (!d.da || !d.dp || !d.dh0 || !pack(r) || !(g = peri__packed(g))) return (gradients) {NULL};
  const peri_real *h = n->out->data, *gates = h + plane(r);
  bool done = peri__gru_back(&r->s, r->h0->data, r->wh->data, gates, gates + 3 * plane(r), h,
                             g->data, d.da->data, d.dp->data, d.dh0->data);
  return done ? d : (gradients) {NULL};
}

/* da = (dh, dh, dh) fa and dp = (dh, dh, dh) fp, dh the gradient by the state of each step. */
static gradients gru_composed (const peri_node *n, const recurrence *r, peri_tensor *g) {
  peri_tensor *old = before(r, r->h0, peri_output(n)), *a = peri_linear(r->x, r->wx, r->b);
  peri_tensor *p = peri_linear(old, r->wh, r->bh), *m = block(r, p, 2);
  peri_tensor *gr = peri_sigmoid(peri_add(block(r, a, 0), block(r, p, 0)));
  peri_tensor *gz = peri_sigmoid(peri_add(block(r, a, 1), block(r, p, 1)));
  peri_tensor *gn = peri_tanh(peri_add(block(r, a, 2), peri_mul(gr, m)));
  peri_tensor *fn = peri_tanh_grad(one_minus(gz), gn);
  peri_tensor *fz = peri_sigmoid_grad(peri_sub(old, gn), gz);
  peri_tensor *fr = peri_mul(fn, peri_sigmoid_grad(m, gr)), *dh = NULL, *wt = flipped(r->wh);
  peri_tensor *fa = join(fr, fz, fn, NULL), *fp = join(fr, fz, peri_mul(fn, gr), NULL);
  size_t size = (size_t) r->s.time * sizeof(peri_tensor *);
  peri_tensor **all = peri__alloc(size);
  if (!all) return (gradients) {NULL};
  for (int64_t k = r->s.time - 1; k >= 0; k--) {
    all[k] = add_if(at_step(g, k), dh);
    dh = peri_matmul(peri_mul(at_step(fp, k), join(all[k], all[k], all[k], NULL)), wt);
    dh = peri_add(dh, peri_mul(all[k], at_step(gz, k)));
  }
  peri_tensor *each = peri_concat((int) r->s.time, all, 1), *three = join(each, each, each, NULL);
  peri__free(all, size);
  return (gradients) {peri_mul(fa, three), peri_mul(fp, three), as_state(r, dh), NULL};
}

void peri__gru_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  recurrence r;
  read_node(n, &r);
  if (r.s.time == 0) return;
  peri_tensor *h0 = r.h0, *x = r.x, *wx = r.wx;
  gradients d = recording() ? gru_composed(n, &r, g) : gru_fused(n, &r, g);
  if (peri_wanted(n, 0)) dx[0] = peri_matmul(d.da, flipped(wx));
  dx[1] = d.dh0;
  if (peri_wanted(n, 2)) dx[2] = peri_matmul(flipped(as_rows(x)), as_rows(d.da));
  if (peri_wanted(n, 3))
    dx[3] = peri_matmul(flipped(as_rows(before(&r, h0, peri_output(n)))), as_rows(d.dp));
  dx[4] = d.da;
  dx[5] = d.dp;
}
