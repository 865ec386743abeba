/* Cholesky and QR factors.  Both are unique: a Cholesky factor by definition, Q because R's diagonal
   is made positive. */

#include "op/matrix.h"

/* --- cholesky --- */

/* Stored by rows, L L' = A is U' U = A by columns: the same memory, no transposition. */
static int factor_cholesky (const void *arg, int64_t i, peri_real *scratch) {
  const peri__matrix_job *j = arg;
  int n = (int) j->m.rows, info = 0;
  peri_real *l = j->y + i * n * n;
  (void) scratch;
  int wrong = peri__load_symmetric(&j->m, i, l);
  if (wrong) return wrong;
  j->lapack->potrf("U", &n, l, &n, &info, 1);
  for (int64_t r = 0; r < n; r++)
    for (int64_t c = r + 1; c < n; c++) l[r * n + c] = 0;
  return info;
}

/* L lower triangular with positive diagonal, L L' = (x + x') / 2.  A failure names the first leading
   minor that is not positive. */
peri_tensor *peri__cholesky_forward (const peri_call *c) {
  peri__matrix_job j;
  int wrong = 0;
  if (!peri__start_job(c, true, &j)) return NULL;
  peri_tensor *y = peri_empty(PERI_REAL, peri_shape_of(j.m.x));
  if (!y || y->count == 0) return y;
  j.y = y->data;
  int64_t at = peri__each_matrix(j.m.count, 0, factor_cholesky, &j, &wrong);
  if (at < 0) return NULL;
  if (at < j.m.count)
    return peri__matrix_wrong(&j.m, at, wrong, "is not positive definite: its leading minor of order "
                              "%d is not positive; add a little to its diagonal", wrong);
  return y;
}

/* dx = sym(L^-T phi(L' g) L^-1), phi the lower triangle with half the diagonal.  Murray 2016,
   "Differentiation of the Cholesky decomposition", eq. 10. */
void peri__cholesky_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *l = peri_output(n);
  peri_tensor *phi = peri__mask(n->shape.at[n->shape.n - 1], 1, 0.5, 0);
  peri_tensor *p = peri_mul(peri_matmul(flipped(l), g), phi);
  peri_tensor *left = peri_solve_triangular(l, p, true, true);
  dx[0] = symmetric(peri_solve_triangular(l, flipped(left), true, true));
}

/* --- qr --- */

/* Columns of Q change sign with the diagonal of R, so that it is positive. */
static int factor_qr (const void *arg, int64_t i, peri_real *scratch) {
  const peri__matrix_job *j = arg;
  int m = (int) j->m.rows, n = (int) j->m.columns, k = m < n ? m : n, info = 0;
  peri_real *a = scratch, *tau = a + m * k, *sign = tau + k, *work = sign + k;
  int wrong = peri__load_columns(&j->m, i, k, a);
  if (wrong) return wrong;
  j->lapack->geqrf(&m, &k, a, &m, tau, work, &j->lwork, &info);
  for (int64_t c = 0; c < k; c++) sign[c] = a[c * m + c] < 0 ? -1 : 1;
  j->lapack->orgqr(&m, &k, &k, a, &m, tau, work, &j->lwork, &info);
  for (int64_t c = 0; c < k; c++)
    for (int64_t r = 0; r < m; r++) a[c * m + r] *= sign[c];
  peri__store_rows(a, m, k, j->y + i * m * k);
  return 0;
}

/* Q (.., m, min(m, n)) of the reduced x = Q R; R = Q' x.  Of a wide x it is that of its first m
   columns. */
peri_tensor *peri__qr_q_forward (const peri_call *c) {
  peri__matrix_job j;
  int wrong = 0, query = -1, info;
  if (!peri__start_job(c, false, &j)) return NULL;
  int m = (int) j.m.rows, n = (int) j.m.columns, k = m < n ? m : n;
  peri_tensor *y = peri_empty(PERI_REAL, peri__batch_and(j.m.x, 2, m, k));
  if (!y || y->count == 0) return y;
  peri_real none = 0, one = 0, other = 0;
  j.lapack->geqrf(&m, &k, &none, &m, &none, &one, &query, &info);
  j.lapack->orgqr(&m, &k, &k, &none, &m, &none, &other, &query, &info);
  j.lwork = 1 + (int) (one > other ? one : other);
  j.y = y->data;
  int64_t at = peri__each_matrix(j.m.count, (int64_t) m * k + 2 * k + j.lwork, factor_qr, &j, &wrong);
  if (at < 0) return NULL;
  return at < j.m.count ? peri__matrix_wrong(&j.m, at, wrong, "has no QR factors") : y;
}

/* dx = (g + Q copyltu(-g' Q)) R^-T, copyltu the symmetric matrix of a lower triangle.  Seeger et al.
   2017, "Auto-differentiating linear algebra", sec. 4.3 (there for LQ), with no gradient for R. */
void peri__qr_q_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *q = peri_output(n);
  int64_t k = n->shape.at[n->shape.n - 1], columns = x->shape[x->ndim - 1];
  peri_tensor *square = columns > k ? peri_slice(x, -1, 0, k, 1) : x;
  peri_tensor *r = peri_matmul(flipped(q), square);
  peri_tensor *m = peri_neg(peri_matmul(flipped(g), q));
  peri_tensor *strict = peri_mul(m, peri__mask(k, 1, 0, 0));
  m = peri_add(peri_mul(m, peri__mask(k, 1, 1, 0)), flipped(strict));
  peri_tensor *b = peri_add(g, peri_matmul(q, m));
  peri_tensor *d = flipped(peri_solve_triangular(r, flipped(b), false, false));
  dx[0] = columns > k ? peri_unslice(d, -1, 0, 1, columns) : d;
}
