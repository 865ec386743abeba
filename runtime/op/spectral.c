/* Eigenvalues of symmetric matrices, singular values, and the square root that is made of them.
   Vectors have a fixed sign.  Where two values are equal their vectors have no derivative, and asking
   for it is a failure; values alone (eigvalsh, svdvals) have a first derivative everywhere. */

#include "op/matrix.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#ifdef PERI_DOUBLE
#define EPSILON DBL_EPSILON
#else
#define EPSILON FLT_EPSILON
#endif

/* Of entries as large as the largest, up to rounding, the first decides the sign. */
static peri_real sign_of (const peri_real *v, int64_t n) {
  peri_real largest = 0;
  for (int64_t i = 0; i < n; i++)
    if ((peri_real) fabs(v[i]) > largest) largest = (peri_real) fabs(v[i]);
  for (int64_t i = 0; i < n; i++)
    if ((peri_real) fabs(v[i]) >= (peri_real) 0.99 * largest) return v[i] < 0 ? -1 : 1;
  return 1;
}

/* --- symmetric matrices --- */

static int run_eigen (const peri__matrix_job *j, const char *job, int64_t i, peri_real *values,
                      peri_real *a, peri_real *work) {
  int n = (int) j->m.rows, info;
  int wrong = peri__load_symmetric(&j->m, i, a);
  if (wrong) return wrong;
  j->lapack->syevd(job, "L", &n, a, &n, values, work, &j->lwork, (int *) (work + j->lwork),
                   &j->liwork, &info, 1, 1);
  return info;
}

static int eigen_values (const void *arg, int64_t i, peri_real *scratch) {
  const peri__matrix_job *j = arg;
  int64_t n = j->m.rows;
  return run_eigen(j, "N", i, j->y + i * n, scratch, scratch + n * n);
}

/* Row 1: the values, ascending; below, vectors in columns. */
static int eigen_packed (const void *arg, int64_t i, peri_real *v) {
  const peri__matrix_job *j = arg;
  int64_t n = j->m.rows;
  peri_real *y = j->y + i * (n + 1) * n;
  int wrong = run_eigen(j, "V", i, y, v, v + n * n);
  for (int64_t c = 0; c < n && !wrong; c++) {
    peri_real sign = sign_of(v + c * n, n);
    for (int64_t r = 0; r < n; r++) y[(1 + r) * n + c] = sign * v[c * n + r];
  }
  return wrong;
}

/* Values of shape (.., n), or values and vectors of shape (.., n + 1, n). */
static peri_tensor *eigen (const peri_call *c, bool vectors) {
  peri__matrix_job j;
  int wrong = 0, query = -1, info, liwork = 0;
  if (!peri__start_job(c, true, &j)) return NULL;
  int n = (int) j.m.rows;
  peri_tensor *y = peri_empty(PERI_REAL, vectors ? peri__batch_and(j.m.x, 2, n + 1, n)
                                                 : peri__batch_and(j.m.x, 1, n, 0));
  if (!y || y->count == 0) return y;
  peri_real none = 0, size = 0;
  j.lapack->syevd(vectors ? "V" : "N", "L", &n, &none, &n, &none, &size, &query, &liwork, &query,
                  &info, 1, 1);
  j.lwork = 1 + (int) size;
  j.liwork = liwork;
  j.y = y->data;
  int64_t at = peri__each_matrix(j.m.count, (int64_t) n * n + j.lwork + liwork,
                                 vectors ? eigen_packed : eigen_values, &j, &wrong);
  if (at < 0) return NULL;
  return at < j.m.count ? peri__matrix_wrong(&j.m, at, wrong, "has eigenvalues that were not found")
                        : y;
}

/* Rows from..to of packed factors. */
static peri_tensor *rows (peri_tensor *packed, int64_t from, int64_t to) {
  return peri_slice(packed, -2, from, to, 1);
}

/* A last axis as a row: (.., n) -> (.., 1, n) */
static peri_tensor *as_row (peri_tensor *x) {
  if (!x) return NULL;
  peri_dims s = peri_shape_of(x);
  s.at[s.n] = s.at[s.n - 1];
  s.at[s.n++ - 1] = 1;
  return peri_reshape(x, s);
}

/* Do the n values of each matrix of packed factors, in row `row`, differ by more than rounding?
   `positive`: is each but rounding above 0, too?  Else a failure: their vectors have no derivative. */
static bool are_distinct (const char *op, const char *values, peri_tensor *packed, int64_t row,
                          bool positive) {
  packed = peri__packed(packed);
  if (!packed) return false;
  int64_t n = packed->shape[packed->ndim - 1], size = packed->shape[packed->ndim - 2] * n;
  for (int64_t at = 0; n > 0 && at < packed->count; at += size) {
    const peri_real *v = (const peri_real *) packed->data + at + row * n;
    double least = 2 * EPSILON * fmax(fabs((double) v[0]), fabs((double) v[n - 1]));
    for (int64_t i = 0; i < n; i++) {
      bool tie = i + 1 < n && !(fabs((double) v[i + 1] - (double) v[i]) > least);
      bool zero = positive && !((double) v[i] > least);
      if (!tie && !zero) continue;
      char to[40] = "0";
      if (tie) snprintf(to, sizeof to, "number %lld", (long long) i + 2);
      peri_fail(PERI_E_ARGUMENT, "%s: value %lld of matrix %lld equals %s, so the vectors have no "
                "derivative there; for functions of the values alone use %s", op, (long long) i + 1,
                (long long) (at / size) + 1, to, values);
      return false;
    }
  }
  return true;
}

/* 1 / (off the diagonal of x), 0 on it */
static peri_tensor *off_diagonal_inverse (peri_tensor *x) {
  if (!x) return NULL;
  int64_t n = x->shape[x->ndim - 1];
  return peri_div(peri__mask(n, 1, 0, 1), peri_add(x, peri__mask(n, 0, 1, 0)));
}

/* diag(g) for a row g */
static peri_tensor *on_diagonal (peri_tensor *row) {
  return row ? peri_mul(row, peri__mask(row->shape[row->ndim - 1], 0, 1, 0)) : NULL;
}

peri_tensor *peri__eigvalsh_forward (const peri_call *c) {
  return eigen(c, false);
}

/* dx = V diag(g) V' */
void peri__eigvalsh_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  int64_t size = n->shape.at[n->shape.n - 1];
  peri_tensor *v = rows(peri_eigh_packed(peri_input(n, 0)), 1, size + 1);
  dx[0] = peri_matmul(peri_mul(v, as_row(g)), flipped(v));
}

peri_tensor *peri__eigh_packed_forward (const peri_call *c) {
  return eigen(c, true);
}

/* dx = sym(V (diag(g_w) + (V' g_V) / (w_j - w_i)) V').  Giles 2008, "An extended collection of matrix
   derivative results", sec. 3.1. */
void peri__eigh_packed_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  int64_t size = n->shape.at[n->shape.n - 1];
  peri_tensor *y = peri_output(n);
  if (!are_distinct("eigh", "eigvalsh", y, 0, false)) return;
  peri_tensor *w = rows(y, 0, 1), *v = rows(y, 1, size + 1);
  peri_tensor *f = off_diagonal_inverse(peri_sub(w, flipped(w)));
  peri_tensor *inner = peri_mul(f, peri_matmul(flipped(v), rows(g, 1, size + 1)));
  inner = peri_add(inner, on_diagonal(rows(g, 0, 1)));
  dx[0] = symmetric(peri_matmul(peri_matmul(v, inner), flipped(v)));
}

/* --- singular values --- */

static int run_svd (const peri__matrix_job *j, const char *job, int64_t i, peri_real *s,
                    peri_real *u, peri_real *vt, peri_real *a) {
  int m = (int) j->m.rows, n = (int) j->m.columns, k = m < n ? m : n, info;
  peri_real *work = a + (int64_t) m * n;
  int wrong = peri__load_columns(&j->m, i, n, a);
  if (wrong) return wrong;
  j->lapack->gesdd(job, &m, &n, a, &m, s, u, &m, vt, &k, work, &j->lwork,
                   (int *) (work + j->lwork), &info, 1);
  return info;
}

static int singular_values (const void *arg, int64_t i, peri_real *scratch) {
  const peri__matrix_job *j = arg;
  int64_t k = j->m.rows < j->m.columns ? j->m.rows : j->m.columns;
  return run_svd(j, "N", i, j->y + i * k, scratch, scratch, scratch);
}

/* U, then a row of values, then V; u and v change sign together. */
static int singular_packed (const void *arg, int64_t i, peri_real *u) {
  const peri__matrix_job *j = arg;
  int64_t m = j->m.rows, n = j->m.columns, k = m < n ? m : n;
  peri_real *vt = u + m * k, *y = j->y + i * (m + 1 + n) * k;
  int wrong = run_svd(j, "S", i, y + m * k, u, vt, vt + n * k);
  for (int64_t c = 0; c < k && !wrong; c++) {
    peri_real sign = sign_of(u + c * m, m);
    for (int64_t r = 0; r < m; r++) y[r * k + c] = sign * u[c * m + r];
    for (int64_t r = 0; r < n; r++) y[(m + 1 + r) * k + c] = sign * vt[r * k + c];
  }
  return wrong;
}

static peri_tensor *decompose_singular (const peri_call *c, bool vectors) {
  peri__matrix_job j;
  int wrong = 0, query = -1, info, none_int = 0;
  if (!peri__start_job(c, false, &j)) return NULL;
  int m = (int) j.m.rows, n = (int) j.m.columns, k = m < n ? m : n;
  peri_tensor *y = peri_empty(PERI_REAL, vectors ? peri__batch_and(j.m.x, 2, m + 1 + n, k)
                                                 : peri__batch_and(j.m.x, 1, k, 0));
  if (!y || y->count == 0) return y;
  peri_real none = 0, size = 0;
  j.lapack->gesdd(vectors ? "S" : "N", &m, &n, &none, &m, &none, &none, &m, &none, &k, &size, &query,
                  &none_int, &info, 1);
  j.lwork = 1 + (int) (size * (peri_real) 1.001);       /* float32 may have rounded it down */
  j.y = y->data;
  int64_t work = (int64_t) m * n + j.lwork + 8 * k + (vectors ? (int64_t) (m + n) * k : 0);
  int64_t at = peri__each_matrix(j.m.count, work, vectors ? singular_packed : singular_values, &j,
                                 &wrong);
  if (at < 0) return NULL;
  return at < j.m.count ? peri__matrix_wrong(&j.m, at, wrong, "has singular values that were not "
                                             "found") : y;
}

peri_tensor *peri__svdvals_forward (const peri_call *c) {
  return decompose_singular(c, false);
}

/* dx = U diag(g) V' */
void peri__svdvals_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *x = peri_input(n, 0), *y = peri_svd_packed(x);
  int64_t r = x->shape[x->ndim - 2], c = x->shape[x->ndim - 1];
  peri_tensor *u = rows(y, 0, r), *v = rows(y, r + 1, r + 1 + c);
  dx[0] = peri_matmul(peri_mul(u, as_row(g)), flipped(v));
}

peri_tensor *peri__svd_packed_forward (const peri_call *c) {
  return decompose_singular(c, true);
}

/* dx = U (skew(U' g_U) s_j + diag(g_s) + s_i skew(V' g_V)) V' + what lies outside U and V, with
   skew(A) = (A - A') / (s_j^2 - s_i^2).  Townsend 2016, "Differentiating the singular value
   decomposition", eq. 31. */
void peri__svd_packed_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *y = peri_output(n);
  peri_dims in = peri_input_shape(n, 0);
  int64_t m = in.at[in.n - 2], columns = in.at[in.n - 1], k = n->shape.at[n->shape.n - 1];
  if (!are_distinct("svd", "svdvals", y, m, m != columns)) return;
  peri_tensor *u = rows(y, 0, m), *s = rows(y, m, m + 1), *v = rows(y, m + 1, m + 1 + columns);
  peri_tensor *gu = rows(g, 0, m), *gv = rows(g, m + 1, m + 1 + columns), *st = flipped(s);
  peri_tensor *ugu = peri_matmul(flipped(u), gu), *vgv = peri_matmul(flipped(v), gv);
  peri_tensor *f = off_diagonal_inverse(peri_mul(peri_sub(s, st), peri_add(s, st)));
  peri_tensor *left = peri_mul(peri_mul(f, peri_sub(ugu, flipped(ugu))), s);
  peri_tensor *right = peri_mul(peri_mul(f, peri_sub(vgv, flipped(vgv))), st);
  peri_tensor *inner = peri_add(peri_add(left, right), on_diagonal(rows(g, m, m + 1)));
  peri_tensor *d = peri_matmul(peri_matmul(u, inner), flipped(v));
  if (m > k)
    d = peri_add(d, peri_matmul(peri_div(peri_sub(gu, peri_matmul(u, ugu)), s), flipped(v)));
  if (columns > k)
    d = peri_add(d, peri_matmul(u, flipped(peri_div(peri_sub(gv, peri_matmul(v, vgv)), s))));
  dx[0] = d;
}

/* --- functions of the eigenvalues --- */

/* V diag(sqrt w) V', symmetric positive semi-definite.  Eigenvalues below 0 by no more than rounding
   count as 0. */
peri_tensor *peri__sqrtm_forward (const peri_call *c) {
  peri_tensor *y = eigen(c, true), *x = c->in[0];
  if (!y || y->count == 0) return y ? peri_empty(PERI_REAL, peri_shape_of(x)) : NULL;
  int64_t n = y->shape[y->ndim - 1];
  peri__matrices m;
  if (!peri__matrices_of("sqrtm", "x", x, true, &m)) return NULL;
  for (int64_t i = 0; i < m.count; i++) {
    peri_real *w = (peri_real *) y->data + i * (n + 1) * n;
    double most = fmax(fabs((double) w[0]), fabs((double) w[n - 1]));
    if ((double) w[0] < -8 * EPSILON * (double) n * most)
      return peri__matrix_wrong(&m, i, 1, "is not positive semi-definite: it has the eigenvalue %g",
                                (double) w[0]);
    for (int64_t k = 0; k < n; k++) w[k] = w[k] > 0 ? (peri_real) sqrt(w[k]) : 0;
  }
  bool was = peri_set_recording(false);
  peri_tensor *v = rows(y, 1, n + 1);
  peri_tensor *root = symmetric(peri_matmul(peri_mul(v, rows(y, 0, 1)), flipped(v)));
  peri_set_recording(was);
  return root;
}

/* dx = sym(the d of y d + d y = g) */
void peri__sqrtm_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  dx[0] = symmetric(peri_lyapunov(peri_output(n), g));
}

/* y of a y + y a = b, a symmetric (as (a + a') / 2) and b square: V ((V' b V) / (w_i + w_j)) V'.  No
   two eigenvalues of a may have the sum 0. */
peri_tensor *peri__lyapunov_forward (const peri_call *c) {
  peri_tensor *a = c->in[0], *b = c->in[1];
  peri__matrices m;
  char ta[PERI_SHAPETEXT], tb[PERI_SHAPETEXT];
  if (!peri__matrices_of("lyapunov", "a", a, true, &m)) return NULL;
  if (b->ndim != a->ndim || !peri__same_shape(a, b))
    return peri_null(PERI_E_SHAPE, "lyapunov: a of shape %s and b of shape %s must have one shape",
                     peri_shape_text(a, ta), peri_shape_text(b, tb));
  bool was = peri_set_recording(false);
  peri_tensor *y = eigen(c, true);
  int64_t n = m.rows;
  for (int64_t i = 0; y && y->count && i < m.count; i++) {
    const peri_real *w = (const peri_real *) y->data + i * (n + 1) * n;
    double least = EPSILON * fmax(fabs((double) w[0]), fabs((double) w[n - 1]));
    for (int64_t low = 0, high = n - 1; low <= high; ) {     /* ascending: the sums nearest to 0 */
      double sum = (double) w[low] + (double) w[high];
      if (fabs(sum) <= least) {
        y = peri__matrix_wrong(&m, i, 1, "has eigenvalues %g and %g, whose sum is 0: no solution",
                               (double) w[low], (double) w[high]);
        break;
      }
      if (sum < 0) low++;
      else high--;
    }
    if (!y) break;
  }
  peri_tensor *v = rows(y, 1, n + 1), *w = rows(y, 0, 1), *vt = flipped(v);
  peri_tensor *inner = peri_div(peri_matmul(peri_matmul(vt, b), v), peri_add(w, flipped(w)));
  y = peri_matmul(peri_matmul(v, inner), vt);
  peri_set_recording(was);
  return y;
}

/* db = the d of a d + d a = g,  da = -sym(d y' + y' d) */
void peri__lyapunov_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *d = peri_lyapunov(peri_input(n, 0), g), *yt = flipped(peri_output(n));
  dx[1] = d;
  if (peri_wanted(n, 0))
    dx[0] = peri_neg(symmetric(peri_add(peri_matmul(d, yt), peri_matmul(yt, d))));
}
