/* Diagonals: taken out, put in, summed. */

#include "op/matrix.h"

static int64_t smaller (int64_t a, int64_t b) { return a < b ? a : b; }

/* g on the diagonals of zero matrices of `shape`. */
static peri_tensor *embed_in (peri_tensor *g, peri_dims shape) {
  int64_t rows = shape.at[shape.n - 2], columns = shape.at[shape.n - 1];
  peri_tensor *y = peri_diag_embed(g);
  if (rows > columns) y = peri_unslice(y, -2, 0, 1, rows);
  return columns > rows ? peri_unslice(y, -1, 0, 1, columns) : y;
}

/* (.., m, n) -> (.., min(m, n)): a view whose step is one row and one column. */
peri_tensor *peri__diagonal_forward (const peri_call *c) {
  peri__matrices m;
  if (!peri__matrices_of("diagonal", "x", c->in[0], false, &m)) return NULL;
  peri_tensor *y = peri__view(c->in[0]);
  if (!y) return NULL;
  int last = y->ndim - 2;
  y->ndim--;
  y->shape[last] = smaller(m.rows, m.columns);
  y->stride[last] = m.down + m.across;
  y->count = m.count * y->shape[last];
  return y;
}
void peri__diagonal_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = embed_in(g, peri_input_shape(n, 0));
}

/* (.., n) -> (.., n, n) */
peri_tensor *peri__diag_embed_forward (const peri_call *c) {
  peri_tensor *x = c->in[0];
  char text[PERI_SHAPETEXT];
  if (x->ndim < 1 || x->ndim >= PERI_MAXDIM)
    return peri_null(PERI_E_SHAPE, "diag_embed: x of shape %s must have one to %d axes",
                     peri_shape_text(x, text), PERI_MAXDIM - 1);
  peri_dims shape = peri_shape_of(x);
  int64_t n = shape.at[shape.n - 1];
  shape.at[shape.n++] = n;
  peri_tensor *y = peri_full(PERI_REAL, shape, 0);
  x = peri__packed(x);
  for (int64_t k = 0; x && y && k < x->count; k++)
    ((peri_real *) y->data)[k / n * n * n + k % n * (n + 1)] = ((const peri_real *) x->data)[k];
  return x ? y : NULL;
}
void peri__diag_embed_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  (void) n;
  dx[0] = peri_diagonal(g);
}

/* (.., m, n) -> (..), summed in double */
peri_tensor *peri__trace_forward (const peri_call *c) {
  peri__matrices m;
  if (!peri__matrices_of("trace", "x", c->in[0], false, &m)) return NULL;
  peri_tensor *y = peri_empty(PERI_REAL, peri__batch_and(c->in[0], 0, 0, 0));
  for (int64_t i = 0; y && i < m.count; i++) {
    const peri_real *x = peri__matrix_at(&m, i);
    double sum = 0;
    for (int64_t k = 0; k < smaller(m.rows, m.columns); k++)
      sum += (double) x[k * (m.down + m.across)];
    ((peri_real *) y->data)[i] = (peri_real) sum;
  }
  return y;
}
void peri__trace_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_dims in = peri_input_shape(n, 0), one = n->shape, all;
  one.at[one.n++] = 1;
  all = one;
  all.at[all.n - 1] = smaller(in.at[in.n - 2], in.at[in.n - 1]);
  dx[0] = embed_in(peri_expand(peri_reshape(g, one), all), in);
}
