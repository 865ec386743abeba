/* The neural autoregressive distribution estimator (Larochelle & Murray 2011) and the Gibbs step of
   a restricted Boltzmann machine. */

#include "kernel/nade.h"

#include "kernel/map.h"
#include "op/op.h"

/* The inputs packed; false with a failure.  `label` names x, which has shape (batch, visible). */
static bool prepare (const char *op, const char *label, peri_tensor **x, peri_tensor *w,
                     peri_tensor *b, peri_tensor *v, peri_tensor *c, peri__nade *s) {
  char tx[PERI_SHAPETEXT], tw[PERI_SHAPETEXT], tv[PERI_SHAPETEXT];
  if ((*x)->ndim != 2 || w->ndim != 2 || w->shape[0] != (*x)->shape[1])
    return peri_fail(PERI_E_SHAPE, "%s: %s has shape %s and w %s; want (batch, visible) and "
                     "(visible, hidden)", op, label, peri_shape_text(*x, tx),
                     peri_shape_text(w, tw)), false;
  if (!peri__same_shape(w, v))
    return peri_fail(PERI_E_SHAPE, "%s: w has shape %s and v %s; make them equal", op,
                     peri_shape_text(w, tw), peri_shape_text(v, tv)), false;
  if (b && !peri__has_shape(b, peri_shape(1, w->shape[0])))
    return peri_fail(PERI_E_SHAPE, "%s: w has shape %s and b %s; b has one number a visible unit",
                     op, peri_shape_text(w, tw), peri_shape_text(b, tv)), false;
  if (!peri__has_shape(c, peri_shape(1, w->shape[1])))
    return peri_fail(PERI_E_SHAPE, "%s: w has shape %s and c %s; c has one number a hidden unit",
                     op, peri_shape_text(w, tw), peri_shape_text(c, tv)), false;
  *s = (peri__nade) {.batch = (*x)->shape[0], .visible = w->shape[0], .hidden = w->shape[1]};
  if (!(*x = peri__packed(*x)) || !(w = peri__packed(w)) || !(v = peri__packed(v))
      || !(c = peri__packed(c)) || (b && !(b = peri__packed(b)))) return false;
  s->w = w->data;
  s->v = v->data;
  s->c = c->data;
  s->b = b ? b->data : NULL;
  return true;
}

/* Logits (batch, visible): y_i = b_i + v_i . h_i, h_i = sigmoid(c + sum over j < i of x_j w_j), so
   that P(x_i = 1 | x_1 .. x_i-1) = sigmoid(y_i) (eq. 9 and 10). */
peri_tensor *peri__nade_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  peri__nade s;
  if (!prepare("nade", "x", &x, c->in[1], c->in[2], c->in[3], c->in[4], &s)) return NULL;
  peri_tensor *y = peri_empty(PERI_REAL, peri_shape_of(x));
  return y && peri__nade_forward_pass(&s, NULL, x->data, y->data) ? y : NULL;
}

/* The derivatives lie end to end: by x (when asked for), w, v, b, c. */
static peri_tensor *part (peri_tensor *d, int64_t *at, peri_dims shape) {
  int64_t from = *at;
  *at += peri_count(shape);
  return peri_reshape(peri_slice(d, 0, from, *at, 1), shape);
}

void peri__nade_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *w = peri_input(n, 1), *c = peri_input(n, 4);
  bool by_x = peri_wanted(n, 0);
  int64_t at = 0;
  peri_tensor *d = peri_nade_grad(g, x, w, peri_input(n, 3), c, by_x);
  if (by_x) dx[0] = part(d, &at, peri_shape_of(x));
  dx[1] = part(d, &at, peri_shape_of(w));
  dx[3] = part(d, &at, peri_shape_of(w));
  dx[2] = part(d, &at, peri_shape(1, w->shape[0]));
  dx[4] = part(d, &at, peri_shape_of(c));
}

peri_tensor *peri__nade_grad_forward (const peri_call *c) {
  peri_tensor *g = c->in[0], *x = c->in[1], *w = c->in[2];
  char tg[PERI_SHAPETEXT], tx[PERI_SHAPETEXT];
  peri__nade s;
  if (!peri__same_shape(g, x))
    return peri_null(PERI_E_SHAPE, "nade_grad: g has shape %s and x %s; make them equal",
                     peri_shape_text(g, tg), peri_shape_text(x, tx));
  if (!prepare("nade_grad", "x", &x, w, NULL, c->in[3], c->in[4], &s)) return NULL;
  int64_t by_x = c->a.keep ? x->count : 0;
  peri_tensor *d = peri_empty(PERI_REAL, peri_shape(1, by_x + 2 * w->count + s.visible + s.hidden));
  g = d ? peri__packed(g) : NULL;
  if (!g) return NULL;
  peri_real *to = d->data;
  peri__nade_derivatives parts = {.x = by_x ? to : NULL, .w = to + by_x};
  parts.v = parts.w + w->count;
  parts.b = parts.v + w->count;
  parts.c = parts.b + s.visible;
  return peri__nade_backward(&s, g->data, x->data, &parts) ? d : NULL;
}

/* Sum over the visible units before (or behind) each; x is (batch, visible, hidden). */
static peri_tensor *sum_before (peri_tensor *x) {
  return peri_sub(peri_cumsum(x, 1), x);
}
static peri_tensor *sum_behind (peri_tensor *x) {
  return peri_sub(peri_flip(peri_cumsum(peri_flip(x, 1), 1), 1), x);
}

/* The derivative that arrives, split into (x', w', v', b', c'), is a direction; the logits'
   derivative along it is t = b' + v' . h + v . s a', with s = h (1 - h) and
   a' = c' + sum before of x' w + x w'.  What is differentiated is the sum of g t.
   Holds all (batch, visible, hidden) at once. */
void peri__nade_grad_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 1), *w = peri_input(n, 2), *v = peri_input(n, 3);
  int64_t at = 0, batch = x->shape[0], visible = x->shape[1], hidden = w->shape[1];
  const int last = 2;
  peri_dims column = peri_shape(3, batch, visible, (int64_t) 1);
  peri_tensor *x1 = n->a.keep ? part(g, &at, column) : NULL;
  peri_tensor *w1 = part(g, &at, peri_shape_of(w)), *v1 = part(g, &at, peri_shape_of(w));
  peri_tensor *b1 = part(g, &at, peri_shape(1, visible)), *c1 = part(g, &at, peri_shape(1, hidden));
  peri_tensor *x0 = peri_reshape(x, column), *g0 = peri_reshape(peri_input(n, 0), column);
  peri_tensor *h = peri_sigmoid(peri_add(sum_before(peri_mul(x0, w)), peri_input(n, 4)));
  peri_tensor *s = peri_mul(h, peri_sub(peri_number(1), h));
  peri_tensor *a1 = peri_mul(x0, w1);
  if (x1) a1 = peri_add(a1, peri_mul(x1, w));
  a1 = peri_add(sum_before(a1), c1);
  peri_tensor *sa = peri_mul(s, a1);
  dx[0] = peri_add(peri_sum(peri_add(peri_mul(v1, h), peri_mul(v, sa)), one_axis(last), false), b1);
  /* by a' and by a, and both summed over the units that follow */
  peri_tensor *e = peri_mul(g0, peri_mul(v, s));
  peri_tensor *r = peri_mul(peri_mul(v, sa), peri_sub(peri_number(1), scale(h, 2)));
  r = peri_mul(g0, peri_add(peri_mul(v1, s), r));
  peri_tensor *after = sum_behind(r), *after1 = sum_behind(e);
  dx[1] = peri_sum(peri_add(peri_mul(w, after), peri_mul(w1, after1)), one_axis(last), false);
  dx[2] = peri_mul(x0, after);
  if (x1) dx[2] = peri_add(dx[2], peri_mul(x1, after1));
  dx[3] = peri_mul(g0, sa);
  dx[4] = r;
}

/* Ancestral: x_i = 1 where u_i < sigmoid(y_i), u uniform on [0, 1). */
peri_tensor *peri__nade_sample_forward (const peri_call *c) {
  peri_tensor *u = c->in[0];
  peri__nade s;
  if (!prepare("nade_sample", "u", &u, c->in[1], c->in[2], c->in[3], c->in[4], &s)) return NULL;
  peri_tensor *x = peri_empty(PERI_REAL, peri_shape_of(u));
  return x && peri__nade_forward_pass(&s, u->data, x->data, NULL) ? x : NULL;
}

/* --- Gibbs step --- */

/* 1 where u < sigmoid(y) */
#define DRAW vmask(y < 1 / (1 + vexp(-x)))
PERI__LOOP(v2, draw, 2, DRAW)
PERI__LOOP(v3, draw, 2, DRAW)
PERI__LOOP(v4, draw, 2, DRAW)

/* Bernoulli draws with probability sigmoid(x w + b), u uniform on [0, 1): one half of a block Gibbs
   step; the other half takes w transposed (Smolensky 1986; Hinton 2002). */
peri_tensor *peri__gibbs_forward (const peri_call *c) {
  static peri__loop *const level[] = {draw_v2, draw_v3, draw_v4};
  peri_tensor *u = c->in[3];
  char tu[PERI_SHAPETEXT], ta[PERI_SHAPETEXT], tw[PERI_SHAPETEXT], tb[PERI_SHAPETEXT];
  peri_tensor *x = c->in[0], *w = c->in[1], *b = c->in[2];
  if (x->ndim < 1 || w->ndim != 2 || x->shape[x->ndim - 1] != w->shape[0]
      || !peri__has_shape(b, peri_shape(1, w->shape[1])))
    return peri_null(PERI_E_SHAPE, "gibbs: x has shape %s, w %s and b %s; want (.., in), (in, out) "
                     "and (out)", peri_shape_text(x, ta), peri_shape_text(w, tw),
                     peri_shape_text(b, tb));
  bool was = peri_set_recording(false);
  peri_tensor *a = peri_linear(x, w, b);
  peri_set_recording(was);
  if (!a) return NULL;
  if (!peri__same_shape(a, u))
    return peri_null(PERI_E_SHAPE, "gibbs: u has shape %s and the result %s; make them equal",
                     peri_shape_text(u, tu), peri_shape_text(a, ta));
  peri_call draw = {.op = c->op, .nin = 2, .in = (peri_tensor *[]) {a, u}};
  return peri__map(&draw, level[peri__cpu_level()], PERI_REAL);
}
