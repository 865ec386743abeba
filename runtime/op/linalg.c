/* Matrix products.  Every product is cut into pieces that depend on its sizes only; a piece is one
   single-threaded GEMM. */

#include <stdint.h>
#include <string.h>

#include "blas.h"
#include "kernel/epilogue.h"
#include "kernel/skinny.h"
#include "op/op.h"
#include "parallel.h"

/* Below PIECE multiply-adds a cut costs more than it gains.  What all pieces read, when it is more
   than SHARED numbers, is packed by each, so pieces are then at least WIDE.  ROWS and COLUMNS: what
   a kernel computes at once; pieces are several times that. */
enum { PIECE = 1 << 19, MAXPIECES = 16, SHARED = 1 << 19, WIDE = 256, ROWS = 8, COLUMNS = 48 };

typedef struct {
  peri__gemm_call g;            /* of the whole of one matrix */
  peri_layout x, y;             /* batch axes */
  const peri_real *a, *b;
  peri_real *c;
  bool by_rows;                 /* pieces are rows of c, else columns */
  const peri_real *bias;        /* added to each row of c, before `act`; NULL: neither */
  peri__act act;
  double slope;
  int64_t pieces, width;
} product_job;

static int64_t offset_of (const peri_layout *l, int64_t i) {
  int64_t at = 0;
  for (int d = l->n - 1; d >= 0; d--) {
    at += i % l->shape[d] * l->stride[d];
    i /= l->shape[d];
  }
  return at;
}

static void run_piece (void *arg, int64_t chunk) {
  const product_job *j = arg;
  int64_t batch = chunk / j->pieces, from = chunk % j->pieces * j->width;
  peri__gemm_call g = j->g;
  int64_t *size = j->by_rows ? &g.m : &g.n;
  g.a = j->a + offset_of(&j->x, batch);
  g.b = j->b + offset_of(&j->y, batch);
  g.c = j->c + batch * g.m * g.n;
  *size = *size - from < j->width ? *size - from : j->width;
  if (j->by_rows) {
    g.a += from * (g.ta ? 1 : g.lda);
    g.c += from * g.ldc;
  } else {
    g.b += from * (g.tb ? g.ldb : 1);
    g.c += from;
  }
  if (!peri__skinny(&g)) peri__gemm(&g);
  if (!j->bias) return;
  peri__epilogue(j->act, g.m, g.n, j->bias + (j->by_rows ? 0 : from), j->slope, g.c, g.ldc);
}

/* Into how many pieces: of rows when x is the larger operand, of columns when y is, so that each part
   of it is read once. */
static void cut (product_job *j, int64_t batch) {
  int64_t m = j->g.m, n = j->g.n, k = j->g.k;
  j->by_rows = m >= n;
  int64_t size = j->by_rows ? m : n, align = j->by_rows ? ROWS : COLUMNS;
  double work = (double) m * (double) n * (double) k, shared = (double) k * (double) (m + n - size);
  double pieces = batch > 1 ? 1 : work / PIECE < MAXPIECES ? work / PIECE : MAXPIECES;
  double most = (double) (size / (shared > SHARED ? WIDE : j->by_rows ? 8 * ROWS : 2 * COLUMNS));
  if (pieces > 2 && pieces > most) pieces = most < 2 ? 2 : most;
  j->width = pieces < 2 ? size : (int64_t) ((double) size / pieces);
  if (pieces >= 2) j->width = (j->width + align - 1) / align * align;
  j->pieces = (size + j->width - 1) / j->width;
}

/* Is the matrix in the last two axes of x stored by rows or by columns?  Packs x when neither. */
static peri_tensor *as_matrix (peri_tensor *x, bool *transposed, int64_t *step) {
  for (int tries = 0; x; tries++) {
    int64_t rows = x->shape[x->ndim - 2], columns = x->shape[x->ndim - 1];
    int64_t down = x->stride[x->ndim - 2], across = x->stride[x->ndim - 1];
    if (rows == 1) down = columns > across ? columns : across;
    *transposed = false;
    *step = down;
    if ((across == 1 || columns == 1) && down >= columns && down > 0) return x;
    if (columns == 1) across = rows;
    *transposed = true;
    *step = across;
    if (down == 1 && across >= rows) return x;
    if (tries) break;
    x = peri_clone(x);
  }
  return x;
}

/* The batch axes of x broadcast to those of the result. */
static peri_layout batch_layout (const peri_tensor *x, peri_dims batch) {
  peri_tensor lead = *x;
  lead.ndim = (uint8_t) (x->ndim - 2);
  return peri__layout(&lead, batch);
}

/* c = x y, and what `j` says follows it; c is packed, of shape (batch.., m, n). */
static bool multiply (product_job j, peri_tensor *x, peri_tensor *y, peri_dims batch,
                      peri_tensor *c) {
  int64_t count = peri_count(batch);
  j.g = (peri__gemm_call) {.m = x->shape[x->ndim - 2], .k = x->shape[x->ndim - 1],
                           .n = y->shape[y->ndim - 1]};
  j.c = c->data;
  if (c->count == 0) return true;
  if (j.g.k == 0) {
    memset(c->data, 0, c->storage->bytes);
    if (j.bias) peri__epilogue(j.act, j.g.m, j.g.n, j.bias, j.slope, j.c, j.g.n);
    return true;
  }
  if (!(x = as_matrix(x, &j.g.ta, &j.g.lda)) || !(y = as_matrix(y, &j.g.tb, &j.g.ldb))) return false;
  if (j.g.m > INT32_MAX || j.g.n > INT32_MAX || j.g.k > INT32_MAX || j.g.lda > INT32_MAX
      || j.g.ldb > INT32_MAX) {
    peri_fail(PERI_E_SHAPE, "matmul: a matrix has more than 2^31 rows, columns or a step");
    return false;
  }
  if (!peri__blas_ready()) return false;
  j.g.ldc = j.g.n;
  j.a = x->data;
  j.b = y->data;
  j.x = batch_layout(x, batch);
  j.y = batch_layout(y, batch);
  cut(&j, count);
  peri__parallel(count * j.pieces, run_piece, &j);
  return true;
}

static peri_dims without_last_two (const peri_tensor *x) {
  peri_dims d = peri_shape_of(x);
  d.n -= 2;
  return d;
}

peri_tensor *peri__matmul_forward (const peri_call *c) {
  peri_tensor *x = c->in[0], *y = c->in[1];
  char tx[PERI_SHAPETEXT], ty[PERI_SHAPETEXT];
  peri_dims batch;
  if (x->ndim < 2 || y->ndim < 2)
    return peri_null(PERI_E_SHAPE, "matmul: x of shape %s and y of shape %s must have two axes or more; "
                     "reshape a vector to (1, n) or (n, 1)", peri_shape_text(x, tx),
                     peri_shape_text(y, ty));
  if (x->shape[x->ndim - 1] != y->shape[y->ndim - 2])
    return peri_null(PERI_E_SHAPE, "matmul: x of shape %s and y of shape %s: the last axis of x has "
                     "%lld and the one before last of y %lld; transpose one of them?",
                     peri_shape_text(x, tx), peri_shape_text(y, ty),
                     (long long) x->shape[x->ndim - 1], (long long) y->shape[y->ndim - 2]);
  if (!peri__broadcast_dims("matmul", without_last_two(x), without_last_two(y), &batch)) return NULL;
  peri_dims shape = batch;
  shape.at[shape.n++] = x->shape[x->ndim - 2];
  shape.at[shape.n++] = y->shape[y->ndim - 1];
  peri_tensor *z = peri_empty(PERI_REAL, shape);
  if (z && x->ndim > 2 && y->ndim == 2) {          /* one matrix y: a single product */
    x = peri__packed(x);
    peri_tensor *flat = x ? peri__view(x) : NULL;
    int64_t k = y->shape[0];
    if (!flat) return NULL;
    peri__set_shape(flat, peri_shape(2, k ? x->count / k : (int64_t) 0, k));
    return multiply((product_job) {0}, flat, y, (peri_dims) {.n = 0}, z) ? z : NULL;
  }
  return z && multiply((product_job) {0}, x, y, batch, z) ? z : NULL;
}

/* All axes but the last as one. */
static peri_tensor *flatten (peri_tensor *x) {
  if (!x || x->ndim == 2) return x;
  int64_t rows = 1;
  for (int i = 0; i + 1 < x->ndim; i++) rows *= x->shape[i];
  return peri_reshape(x, peri_shape(2, rows, x->shape[x->ndim - 1]));
}

/* dx = g y',  dy = x' g */
void peri__matmul_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_input(n, 1);
  if (peri_wanted(n, 0)) dx[0] = peri_matmul(g, peri_transpose(y, -2, -1));
  if (!peri_wanted(n, 1)) return;
  if (y->ndim == 2) {
    x = flatten(x);
    g = flatten(g);
  }
  dx[1] = peri_matmul(peri_transpose(x, -2, -1), g);
}

/* One row of n numbers from b, which has one axis or none. */
static peri_tensor *bias_row (peri_tensor *b, int64_t n) {
  return b->ndim == 0 ? peri_clone(peri__expand_to(b, peri_shape(1, n))) : peri__packed(b);
}

/* act(x w + b) on the last axis of x. */
static peri_tensor *affine (const peri_call *c, peri__act act, double slope) {
  peri_tensor *x = c->in[0], *w = c->in[1], *b = c->in[2];
  const char *name = peri_ops[c->op].name;
  char tx[PERI_SHAPETEXT], tw[PERI_SHAPETEXT], tb[PERI_SHAPETEXT];
  if (w->ndim != 2 || b->ndim > 1 || (b->ndim == 1 && b->shape[0] != w->shape[1]))
    return peri_null(PERI_E_SHAPE, "%s: w has shape %s and b %s; want (in, out) and (out)", name,
                     peri_shape_text(w, tw), peri_shape_text(b, tb));
  if (x->ndim < 1 || x->shape[x->ndim - 1] != w->shape[0])
    return peri_null(PERI_E_SHAPE, "%s: x of shape %s and w of shape %s: the last axis of x must "
                     "have %lld", name, peri_shape_text(x, tx), peri_shape_text(w, tw),
                     (long long) w->shape[0]);
  peri_dims shape = peri_shape_of(x);
  int64_t rows = 1, in = w->shape[0];
  for (int i = 0; i + 1 < shape.n; i++) rows *= shape.at[i];
  shape.at[shape.n - 1] = w->shape[1];
  peri_tensor *y = peri_empty(PERI_REAL, shape);
  if (x->ndim != 2) {
    x = peri__packed(x);
    x = x ? peri__view(x) : NULL;
    if (x) peri__set_shape(x, peri_shape(2, rows, in));
  }
  b = bias_row(b, w->shape[1]);
  if (!x || !y || !b) return NULL;
  product_job j = {.bias = b->data, .act = act, .slope = slope};
  return multiply(j, x, w, (peri_dims) {.n = 0}, y) ? y : NULL;
}

/* dx = g w',  dw = x' g,  db = the sum of g, which the engine takes as it takes off a leading
   axis */
static void affine_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  if (peri_wanted(n, 0))
    dx[0] = peri_matmul(g && g->ndim == 1 ? flatten(g) : g, peri_transpose(peri_input(n, 1), -2, -1));
  if (peri_wanted(n, 1))
    dx[1] = peri_matmul(peri_transpose(flatten(peri_input(n, 0)), -2, -1), flatten(g));
  dx[2] = g;
}

peri_tensor *peri__linear_forward (const peri_call *c) {
  return affine(c, PERI__IDENTITY, 0);
}
void peri__linear_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  affine_vjp(n, g, dx);
}

peri_tensor *peri__dense_forward (const peri_call *c) {
  if (!(c->a.f[0] > 0))
    return peri_null(PERI_E_ARGUMENT, "dense: slope is %g, want above 0", c->a.f[0]);
  return affine(c, (peri__act) c->a.mode, c->a.f[0]);
}
/* The activations' derivatives are functions of the output. */
void peri__dense_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *y = peri_output(n);
  switch ((peri__act) n->a.mode) {
    case PERI__RELU: g = peri_relu_grad(g, y); break;
    case PERI__LEAKY_RELU: g = peri_leaky_relu_grad(g, y, n->a.f[0]); break;
    case PERI__TANH: g = peri_tanh_grad(g, y); break;
    default: g = peri_sigmoid_grad(g, y);
  }
  affine_vjp(n, g, dx);
}
