/* Linear systems: triangular by substitution, square by LU with partial pivoting; inverses and
   determinants from the same factors. */

#include "op/matrix.h"

#include <float.h>
#include <math.h>

#ifdef PERI_DOUBLE
#define EPSILON DBL_EPSILON
#else
#define EPSILON FLT_EPSILON
#endif

/* Shapes of a square a and right sides b (.., n, k); the result's shape. */
static bool check_system (const peri_call *c, peri__matrices *a, peri__matrices *b, peri_dims *shape) {
  const char *op = peri_ops[c->op].name;
  char ta[PERI_SHAPETEXT], tb[PERI_SHAPETEXT];
  if (!peri__matrices_of(op, "a", c->in[0], true, a)) return false;
  if (c->in[1]->ndim < 2 || c->in[1]->shape[c->in[1]->ndim - 2] != a->rows)
    return peri_fail(PERI_E_SHAPE, "%s: a of shape %s and b of shape %s: b must be (.., %lld, k); "
                     "reshape a vector to (n, 1)", op, peri_shape_text(a->x, ta),
                     peri_shape_text(c->in[1], tb), (long long) a->rows), false;
  if (c->in[1]->shape[c->in[1]->ndim - 1] > INT32_MAX)
    return peri_fail(PERI_E_SHAPE, "%s: b of shape %s has more than 2^31 columns", op,
                     peri_shape_text(c->in[1], tb)), false;
  peri_dims batch;
  peri_tensor *y = c->in[1];
  if (!peri__broadcast_dims(op, peri__batch_and(a->x, 0, 0, 0), peri__batch_and(y, 0, 0, 0), &batch))
    return false;
  *b = (peri__matrices) {.op = op, .name = "b", .x = y, .rows = a->rows,
                         .columns = y->shape[y->ndim - 1], .down = y->stride[y->ndim - 2],
                         .across = y->stride[y->ndim - 1]};
  peri__broadcast_matrices(a, batch);
  peri__broadcast_matrices(b, batch);
  *shape = batch;
  shape->at[shape->n++] = b->rows;
  shape->at[shape->n++] = b->columns;
  return true;
}

/* --- solve_triangular --- */

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112, UPPER = 121, LOWER = 122, NON_UNIT = 131,
       LEFT = 141 };

typedef struct {
  peri__matrices a;
  const peri__lapack_calls *lapack;
  bool lower, transpose;
  int n, k, step;
  peri_real *y;
} substitution;

static int substitute (const void *arg, int64_t i, peri_real *scratch) {
  const substitution *s = arg;
  const peri_real *a = peri__matrix_at(&s->a, i);
  (void) scratch;
  for (int r = 0; r < s->n; r++)
    if (a[(int64_t) r * (s->step + 1)] == 0) return r + 1;
  s->lapack->trsm(ROW_MAJOR, LEFT, s->lower ? LOWER : UPPER, s->transpose ? TRANS : NO_TRANS,
                  NON_UNIT, s->n, s->k, 1, a, s->step, s->y + i * s->n * s->k, s->k);
  return 0;
}

/* a^-1 b, or a'^-1 b with `transpose`; of a only the lower (or else upper) triangle is read.  A
   failure names the row of a zero on the diagonal.  NaN goes through. */
peri_tensor *peri__solve_triangular_forward (const peri_call *c) {
  substitution s = {.lower = c->a.keep, .transpose = c->a.i[0] != 0};
  peri__matrices b;
  peri_dims shape;
  int wrong = 0;
  if (!check_system(c, &s.a, &b, &shape)) return NULL;
  peri_tensor *y = peri__expand_to(b.x, shape);
  y = y ? peri_clone(y) : NULL;
  if (!y || y->count == 0) return y;
  int64_t n = s.a.rows;
  if (!(s.a.across == 1 && s.a.down >= n) && !(s.a.down == 1 && s.a.across >= n)) {
    peri_tensor *packed = peri__packed(s.a.x);
    peri_dims batch = shape;
    batch.n -= 2;
    if (!packed || !peri__matrices_of(s.a.op, "a", packed, true, &s.a)) return NULL;
    if (s.a.down < n) s.a.down = n;
    s.a.across = 1;                       /* of a size-1 axis, any stride will do */
    peri__broadcast_matrices(&s.a, batch);
  }
  bool by_columns = s.a.across != 1 || s.a.down < n;
  if (by_columns) {                       /* what lies there is a' */
    s.lower = !s.lower;
    s.transpose = !s.transpose;
  }
  int64_t step = by_columns ? s.a.across : s.a.down;
  if (step > INT32_MAX)
    return peri__matrix_wrong(&s.a, 0, 0, "has a step of more than 2^31 between its rows");
  s.n = (int) n;
  s.k = (int) b.columns;
  s.step = (int) step;
  s.y = y->data;
  if (!(s.lapack = peri__lapack(s.a.op))) return NULL;
  int64_t at = peri__each_matrix(s.a.count, 0, substitute, &s, &wrong);
  if (at < 0) return NULL;
  return at < s.a.count ? peri__matrix_wrong(&s.a, at, wrong, "is singular: entry (%d, %d) of its "
                                             "diagonal is 0", wrong, wrong) : y;
}

/* db = a^-T g,  da = the triangle of -db y'; with `transpose` db = a^-1 g and -y db' */
void peri__solve_triangular_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *a = peri_input(n, 0), *y = peri_output(n);
  bool lower = n->a.keep, transpose = n->a.i[0] != 0;
  peri_tensor *db = peri_solve_triangular(a, g, lower, !transpose);
  dx[1] = db;
  if (!peri_wanted(n, 0)) return;
  peri_tensor *d = transpose ? peri_matmul(y, flipped(db)) : peri_matmul(db, flipped(y));
  dx[0] = peri_mul(d, peri__mask(a->shape[a->ndim - 1], lower ? -1 : 0, -1, lower ? 0 : -1));
}

/* --- LU --- */

/* The first pivot of which no digit is left: not larger than the rounding error of the terms it is
   the sum of, sum_k |l_ik u_ki|.  Scaling rows or columns changes nothing.  0 when all are fine. */
static int lost_pivot (const peri_real *lu, int n) {
  for (int64_t i = 0; i < n; i++) {
    double terms = fabs((double) lu[i * n + i]);
    for (int64_t k = 0; k < i; k++) terms += fabs((double) lu[k * n + i] * (double) lu[i * n + k]);
    if (!(fabs((double) lu[i * n + i]) > EPSILON * terms)) return (int) i + 1;
  }
  return 0;
}

static int factor_lu (const peri__matrix_job *j, int64_t i, peri_real *lu, int *pivot) {
  int n = (int) j->m.rows, info;
  int wrong = peri__load_columns(&j->m, i, n, lu);
  if (!wrong && n > 0) j->lapack->getrf(&n, &n, lu, &n, pivot, &info);
  return wrong;
}

static peri_tensor *singular (const peri__matrices *m, int64_t at, int wrong) {
  return peri__matrix_wrong(m, at, wrong, "is singular: nothing is left of pivot %d", wrong);
}

typedef struct {
  peri__matrix_job j;           /* first: factor_lu and the others take it */
  peri__matrices b;
} system_job;

static int solve_one (const void *arg, int64_t i, peri_real *lu) {
  const system_job *s = arg;
  int n = (int) s->b.rows, k = (int) s->b.columns, info;
  peri_real *b = lu + (int64_t) n * n;
  int *pivot = (int *) (b + (int64_t) n * k);
  int wrong = factor_lu(&s->j, i, lu, pivot);
  if (!wrong) wrong = lost_pivot(lu, n);
  if (wrong) return wrong;
  peri__load_columns(&s->b, i, k, b);                 /* NaN in b goes through */
  s->j.lapack->getrs("N", &n, &k, lu, &n, pivot, b, &n, &info, 1);
  peri__store_rows(b, n, k, s->j.y + i * n * k);
  return 0;
}

/* a^-1 b.  A matrix of which elimination leaves no digit is refused as singular. */
peri_tensor *peri__solve_forward (const peri_call *c) {
  system_job s = {.j = {.lwork = 0}};
  peri_dims shape;
  int wrong = 0;
  if (!check_system(c, &s.j.m, &s.b, &shape)) return NULL;
  peri_tensor *y = peri_empty(PERI_REAL, shape);
  if (!y || y->count == 0) return y;
  s.j.y = y->data;
  if (!(s.j.lapack = peri__lapack(s.b.op))) return NULL;
  int64_t n = s.b.rows, work = n * (n + s.b.columns + 1);
  int64_t at = peri__each_matrix(s.b.count, work, solve_one, &s, &wrong);
  if (at < 0) return NULL;
  return at < s.b.count ? singular(&s.j.m, at, wrong) : y;
}

/* db = a^-T g,  da = -db y' */
void peri__solve_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *db = peri_solve(flipped(peri_input(n, 0)), g);
  dx[1] = db;
  if (peri_wanted(n, 0)) dx[0] = peri_neg(peri_matmul(db, flipped(peri_output(n))));
}

static int invert_one (const void *arg, int64_t i, peri_real *lu) {
  const peri__matrix_job *j = arg;
  int n = (int) j->m.rows, info;
  peri_real *work = lu + (int64_t) n * n;
  int *pivot = (int *) (work + j->lwork);
  int wrong = factor_lu(j, i, lu, pivot);
  if (!wrong) wrong = lost_pivot(lu, n);
  if (wrong) return wrong;
  j->lapack->getri(&n, lu, &n, pivot, work, &j->lwork, &info);
  peri__store_rows(lu, n, n, j->y + i * n * n);
  return 0;
}

peri_tensor *peri__inverse_forward (const peri_call *c) {
  peri__matrix_job j;
  int wrong = 0, query = -1, info, none = 0;
  if (!peri__start_job(c, true, &j)) return NULL;
  peri_tensor *y = peri_empty(PERI_REAL, peri_shape_of(j.m.x));
  if (!y || y->count == 0) return y;
  int n = (int) j.m.rows;
  peri_real size = 0, nothing = 0;
  j.lapack->getri(&n, &nothing, &n, &none, &size, &query, &info);
  j.lwork = 1 + (int) size;
  j.y = y->data;
  int64_t at = peri__each_matrix(j.m.count, (int64_t) n * n + j.lwork + n, invert_one, &j, &wrong);
  if (at < 0) return NULL;
  return at < j.m.count ? singular(&j.m, at, wrong) : y;
}

/* dx = -y' g y' */
void peri__inverse_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_tensor *t = flipped(peri_output(n));
  dx[0] = peri_neg(peri_matmul(t, peri_matmul(g, t)));
}

/* --- determinants --- */

/* log |det| and the sign; the pivots' exchanges each turn the sign. */
static int measure (const peri__matrix_job *j, int64_t i, peri_real *lu, double *log_det, int *sign) {
  int n = (int) j->m.rows;
  int *pivot = (int *) (lu + (int64_t) n * n);
  int wrong = factor_lu(j, i, lu, pivot);
  *log_det = 0;
  *sign = 1;
  for (int64_t k = 0; k < n && !wrong; k++) {
    double u = (double) lu[k * n + k];
    *log_det += log(fabs(u));
    if (pivot[k] != k + 1) *sign = -*sign;
    *sign *= u > 0 ? 1 : u < 0 ? -1 : 0;
  }
  return wrong;
}

static int measure_log (const void *arg, int64_t i, peri_real *lu) {
  const peri__matrix_job *j = arg;
  double log_det;
  int sign, wrong = measure(j, i, lu, &log_det, &sign);
  j->y[i] = (peri_real) log_det;
  return wrong;
}

static int measure_sign (const void *arg, int64_t i, peri_real *lu) {
  const peri__matrix_job *j = arg;
  double log_det;
  int sign, wrong = measure(j, i, lu, &log_det, &sign);
  j->y[i] = (peri_real) sign;
  return wrong;
}

static peri_tensor *determinants (const peri_call *c,
                                  int (*f) (const void *arg, int64_t i, peri_real *lu)) {
  peri__matrix_job j;
  int wrong = 0;
  if (!peri__start_job(c, true, &j)) return NULL;
  peri_tensor *y = peri_empty(PERI_REAL, peri__batch_and(j.m.x, 0, 0, 0));
  if (!y) return NULL;
  j.y = y->data;
  int64_t at = peri__each_matrix(j.m.count, j.m.rows * (j.m.rows + 1), f, &j, &wrong);
  if (at < 0) return NULL;
  return at < j.m.count ? peri__matrix_wrong(&j.m, at, wrong, "has no determinant") : y;
}

/* log |det x| of shape (..), natural; 0 for a matrix of no rows. */
peri_tensor *peri__logdet_forward (const peri_call *c) {
  return determinants(c, measure_log);
}

/* dx = g x^-T */
void peri__logdet_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx) {
  peri_dims s = n->shape;
  s.at[s.n++] = 1;
  s.at[s.n++] = 1;
  dx[0] = peri_mul(peri_reshape(g, s), flipped(peri_inverse(peri_input(n, 0))));
}

peri_tensor *peri__det_sign_forward (const peri_call *c) {
  return determinants(c, measure_sign);
}
