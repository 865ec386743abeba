/* Losses along an axis, from logits: the softmax is never written. */

#include <math.h>

#include "kernel/softmax.h"
#include "memory.h"
#include "op/op.h"
#include "parallel.h"

/* Packed logits and targets, and m and s of every line (peri__exp_sums). */
typedef struct {
  peri_tensor *x;
  const int32_t *index;
  axis_sizes size;
  int64_t lines;
  double *m, *s;
} entropy;

static bool check_targets (const peri_call *c, int axis, entropy *e) {
  const char *name = peri_ops[c->op].name;
  char tx[PERI_SHAPETEXT], ti[PERI_SHAPETEXT];
  peri_dims want = peri__reduced_shape(c->in[0], 1 << axis, false);
  if (!peri__has_shape(c->in[1], want)) {
    peri_fail(PERI_E_SHAPE, "%s: index has shape %s and x %s; index must have x's shape without axis "
              "%d", name, peri_shape_text(c->in[1], ti), peri_shape_text(c->in[0], tx), axis + 1);
    return false;
  }
  peri_tensor *index = peri__packed(c->in[1]);
  if (!index) return false;
  e->index = index->data;
  for (int64_t i = 0; i < index->count; i++)
    if (e->index[i] < 1 || e->index[i] > e->size.n) {
      peri_fail(PERI_E_ARGUMENT, "%s: entry %lld of index is %d, outside 1..%lld", name,
                (long long) i + 1, e->index[i], (long long) e->size.n);
      return false;
    }
  return true;
}

static bool good_smoothing (const peri_call *c) {
  if (c->a.f[0] >= 0 && c->a.f[0] <= 1) return true;
  peri_fail(PERI_E_ARGUMENT, "%s: smoothing is %g, outside [0, 1]", peri_ops[c->op].name, c->a.f[0]);
  return false;
}

/* On success e->m is to be freed with close_entropy. */
static bool open_entropy (const peri_call *c, entropy *e) {
  int axis = peri__axis(peri_ops[c->op].name, c->a.axis, c->in[0]->ndim);
  if (axis < 0 || !good_smoothing(c)) return false;
  e->size = sizes_around(c->in[0], axis);
  e->lines = e->size.outer * e->size.inner;
  if (!check_targets(c, axis, e)) return false;
  e->x = peri__packed(c->in[0]);
  e->m = e->x ? peri__alloc((2 * (size_t) e->lines + 1) * sizeof *e->m) : NULL;
  if (!e->m) return false;
  e->s = e->m + e->lines;
  if (e->lines > 0)
    peri__exp_sums(e->x->data, e->size.outer, e->size.n, e->size.inner, e->m, e->s);
  return true;
}

static void close_entropy (entropy *e) {
  peri__free(e->m, (2 * (size_t) e->lines + 1) * sizeof *e->m);
}

typedef struct {
  const entropy *e;
  double smoothing;
  int64_t rows;                 /* lines of a chunk */
  const peri_real *z;           /* of the derivative, and where it goes */
  peri_real *y;
} entropy_job;

static void run_lines (entropy_job j, void (*f) (void *arg, int64_t chunk)) {
  enum { WORK = 16384 };
  int64_t n = j.smoothing > 0 ? j.e->size.n : 1;
  j.rows = n < WORK ? WORK / n : 1;
  peri__parallel((j.e->lines + j.rows - 1) / j.rows, f, &j);
}

/* Where line i begins; the line a chunk ends before. */
static int64_t line_start (const entropy *e, int64_t i) {
  return i / e->size.inner * e->size.n * e->size.inner + i % e->size.inner;
}

static int64_t chunk_end (const entropy_job *j, int64_t chunk) {
  int64_t end = (chunk + 1) * j->rows;
  return end < j->e->lines ? end : j->e->lines;
}

static void find_losses (void *arg, int64_t chunk) {
  const entropy_job *j = arg;
  const entropy *e = j->e;
  double a = j->smoothing;
  for (int64_t i = chunk * j->rows, end = chunk_end(j, chunk); i < end; i++) {
    const peri_real *x = (const peri_real *) e->x->data + line_start(e, i);
    double target = (double) x[(e->index[i] - 1) * e->size.inner] - e->m[i], mean = 0;
    if (a > 0) {
      for (int64_t k = 0; k < e->size.n; k++) mean += (double) x[k * e->size.inner] - e->m[i];
      mean /= (double) e->size.n;
      target = a < 1 ? (1 - a) * target + a * mean : mean;
    }
    j->y[i] = (peri_real) (log(e->s[i]) - target);
  }
}

/* -sum_k q_k log softmax(x)_k in nats, q = (1 - a) onehot + a / n  (Szegedy et al. 2016, section 7).
   m is taken off before the logarithm is added, so large logits cost no digits. */
peri_tensor *peri__cross_entropy_forward (const peri_call *c) {
  entropy e;
  peri_tensor *y = peri_empty(PERI_REAL, peri_shape_of(c->in[1]));
  if (!y || !open_entropy(c, &e)) return NULL;
  run_lines((entropy_job) {.e = &e, .smoothing = c->a.f[0], .y = y->data}, find_losses);
  close_entropy(&e);
  return y;
}
void peri__cross_entropy_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = peri_cross_entropy_grad(peri_input(n, 0), peri_input(n, 1), g, n->a.axis, n->a.f[0]);
}

/* What softmax times z lacks: -z q. */
static void take_targets (void *arg, int64_t chunk) {
  const entropy_job *j = arg;
  const entropy *e = j->e;
  double a = j->smoothing;
  for (int64_t i = chunk * j->rows, end = chunk_end(j, chunk); i < end; i++) {
    peri_real *y = j->y + line_start(e, i);
    peri_real all = (peri_real) ((double) j->z[i] * a / (double) e->size.n);
    for (int64_t k = 0; a > 0 && k < e->size.n; k++) y[k * e->size.inner] -= all;
    y[(e->index[i] - 1) * e->size.inner] -= (peri_real) ((double) j->z[i] * (1 - a));
  }
}

static bool good_lines (const peri_call *c) {
  char ti[PERI_SHAPETEXT], tg[PERI_SHAPETEXT];
  if (peri__same_shape(c->in[1], c->in[2])) return true;
  peri_fail(PERI_E_SHAPE, "cross_entropy_grad: g has shape %s and index %s; make them equal",
            peri_shape_text(c->in[2], tg), peri_shape_text(c->in[1], ti));
  return false;
}

/* u = z (p - q), p = softmax(x) */
peri_tensor *peri__cross_entropy_grad_forward (const peri_call *c) {
  entropy e;
  peri_tensor *u = peri_empty(PERI_REAL, peri_shape_of(c->in[0])), *z = peri__packed(c->in[2]);
  if (!u || !z || !good_lines(c) || !open_entropy(c, &e)) return NULL;
  if (u->count > 0)
    peri__softmax_scaled(e.x->data, e.m, e.s, z->data, e.size.outer, e.size.n, e.size.inner, u->data);
  run_lines((entropy_job) {.e = &e, .smoothing = c->a.f[0], .z = z->data, .y = u->data}, take_targets);
  close_entropy(&e);
  return u;
}
/* dx = z p (h - sum h p), dz = sum h (p - q) */
void peri__cross_entropy_grad_vjp (const peri_node *n, peri_tensor *h, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *index = peri_input(n, 1), *z = peri_input(n, 2);
  int axis = n->a.axis;
  if (peri_wanted(n, 0)) {
    peri_dims kept = peri_shape_of(x);
    kept.at[axis < 0 ? axis + kept.n : axis] = 1;
    dx[0] = peri_mul(peri_reshape(z, kept), peri_softmax_grad(h, peri_softmax(x, axis), axis));
  }
  if (peri_wanted(n, 2)) {
    peri_tensor *one = peri_full(PERI_REAL, peri_shape_of(z), 1);
    peri_tensor *d = peri_cross_entropy_grad(x, index, one, axis, n->a.f[0]);
    dx[2] = peri_sum(peri_mul(h, d), one_axis(axis), false);
  }
}
