/* Loading and storing the matrices of a batch, and saying which of them is at fault. */

#include "op/matrix.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* Up to here the workspaces of all routines have sizes below 2^31. */
enum { MAXSIZE = 20000 };

peri_dims peri__batch_and (const peri_tensor *x, int n, int64_t first, int64_t second) {
  peri_dims d = peri_shape_of(x);
  d.n -= 2;
  if (n > 0) d.at[d.n++] = first;
  if (n > 1) d.at[d.n++] = second;
  return d;
}

void peri__broadcast_matrices (peri__matrices *m, peri_dims batch) {
  peri_tensor lead = *m->x;
  lead.ndim = (uint8_t) (lead.ndim - 2);
  m->batch = peri__layout(&lead, batch);
  m->count = peri_count(batch);
}

bool peri__matrices_of (const char *op, const char *name, peri_tensor *x, bool square,
                        peri__matrices *m) {
  char text[PERI_SHAPETEXT];
  if (x->ndim < 2)
    return peri_fail(PERI_E_SHAPE, "%s: %s of shape %s must have two axes or more: (.., rows, columns)",
                     op, name, peri_shape_text(x, text)), false;
  int r = x->ndim - 2, c = x->ndim - 1;
  *m = (peri__matrices) {.op = op, .name = name, .x = x, .rows = x->shape[r],
                         .columns = x->shape[c], .down = x->stride[r], .across = x->stride[c]};
  if (square && m->rows != m->columns)
    return peri_fail(PERI_E_SHAPE, "%s: %s of shape %s must be square in its last two axes", op, name,
                     peri_shape_text(x, text)), false;
  if (m->rows > MAXSIZE || m->columns > MAXSIZE)
    return peri_fail(PERI_E_SHAPE, "%s: %s of shape %s has matrices of more than %d rows or columns",
                     op, name, peri_shape_text(x, text), MAXSIZE), false;
  peri__broadcast_matrices(m, peri__batch_and(x, 0, 0, 0));
  return true;
}

const peri_real *peri__matrix_at (const peri__matrices *m, int64_t i) {
  int64_t at = 0;
  for (int d = m->batch.n - 1; d >= 0; d--) {
    at += i % m->batch.shape[d] * m->batch.stride[d];
    i /= m->batch.shape[d];
  }
  return (const peri_real *) m->x->data + at;
}

bool peri__start_job (const peri_call *c, bool square, peri__matrix_job *j) {
  const char *op = peri_ops[c->op].name;
  *j = (peri__matrix_job) {.lwork = 0};
  if (!peri__matrices_of(op, c->nin > 1 ? "a" : "x", c->in[0], square, &j->m)) return false;
  return (j->lapack = peri__lapack(op)) != NULL;
}

int peri__load_columns (const peri__matrices *m, int64_t i, int64_t columns, peri_real *to) {
  const peri_real *from = peri__matrix_at(m, i);
  bool finite = true;
  for (int64_t c = 0; c < columns; c++)
    for (int64_t r = 0; r < m->rows; r++) {
      peri_real v = from[r * m->down + c * m->across];
      finite &= isfinite(v) != 0;
      to[c * m->rows + r] = v;
    }
  return finite ? 0 : PERI__NOT_FINITE;
}

int peri__load_symmetric (const peri__matrices *m, int64_t i, peri_real *to) {
  const peri_real *from = peri__matrix_at(m, i);
  const peri_real half = (peri_real) 0.5;
  int64_t n = m->rows;
  bool finite = true;
  for (int64_t r = 0; r < n; r++)
    for (int64_t c = 0; c <= r; c++) {
      peri_real v = half * from[r * m->down + c * m->across]
                  + half * from[c * m->down + r * m->across];
      finite &= isfinite(v) != 0;
      to[r * n + c] = to[c * n + r] = v;
    }
  return finite ? 0 : PERI__NOT_FINITE;
}

void peri__store_rows (const peri_real *from, int64_t rows, int64_t columns, peri_real *to) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) to[r * columns + c] = from[c * rows + r];
}

peri_tensor *peri__matrix_wrong (const peri__matrices *m, int64_t i, int wrong, const char *format,
                                 ...) {
  char shape[PERI_SHAPETEXT], which[32] = "", what[256];
  va_list ap;
  va_start(ap, format);
  vsnprintf(what, sizeof what, format, ap);
  va_end(ap);
  if (m->x->ndim > 2) snprintf(which, sizeof which, ": matrix %lld", (long long) i + 1);
  return peri_null(PERI_E_ARGUMENT, "%s: %s of shape %s%s %s", m->op, m->name,
                   peri_shape_text(m->x, shape), which,
                   wrong == PERI__NOT_FINITE ? "has an entry that is NaN or infinite" : what);
}

peri_tensor *peri__mask (int64_t n, double below, double on, double above) {
  peri_tensor *y = peri_empty(PERI_REAL, peri_shape(2, n, n));
  for (int64_t r = 0; y && r < n; r++)
    for (int64_t c = 0; c < n; c++)
      ((peri_real *) y->data)[r * n + c] = (peri_real) (c < r ? below : c == r ? on : above);
  return y;
}
