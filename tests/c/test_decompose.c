/* Laws of decompositions on every case of their rows: factors give the matrix back, orthonormal
   columns, residuals, signs; what is refused and how it is said; calls from many threads at once. */
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

static peri_tensor *flipped (peri_tensor *x) { return peri_transpose(x, -2, -1); }
static peri_tensor *rows (peri_tensor *x, int64_t from, int64_t to) {
  return peri_slice(x, -2, from, to, 1);
}
static peri_tensor *eye (int64_t n) {
  return peri_diag_embed(peri_full(PERI_REAL, dims(1, (int) n), 1));
}
static peri_tensor *sym (peri_tensor *x) {
  return peri_mul(peri_add(x, flipped(x)), peri_number(0.5));
}

/* |x - y| <= tolerance (1 + the largest of y), and the shapes are equal. */
static void expect_near (const char *law, peri_tensor *x, peri_tensor *y, double tolerance) {
  char tx[PERI_SHAPETEXT], ty[PERI_SHAPETEXT];
  double worst = 0, largest = 0;
  expect_no_failure(law);
  if (strcmp(peri_shape_text(x, tx), peri_shape_text(y, ty)) != 0)
    fail_msg("%s: shapes %s and %s", law, tx, ty);
  for (int64_t k = 0; k < x->count; k++) {
    double d = fabs(value(x, k) - value(y, k));
    if (!(d <= worst)) worst = d;
    largest = fmax(largest, fabs(value(y, k)));
  }
  if (!(worst <= tolerance * (1 + largest)))
    fail_msg("%s: differs by %.3g where the largest is %.3g", law, worst, largest);
}

/* --- laws on every case of a row --- */

static int64_t size_at (const peri_tensor *x, int axis) { return x->shape[x->ndim + axis]; }

static void check_cholesky (const test_case *c, peri_tensor *l) {
  expect_near("L L' = A", peri_matmul(l, flipped(l)), sym(c->in[0]), 1e-13);
  for (int64_t k = 0, n = size_at(l, -1); k < l->count; k++) {
    int64_t i = k / n % n, j = k % n;
    assert_true(j > i ? value(l, k) == 0 : j < i || value(l, k) > 0);
  }
  expect_near("log det A = 2 sum log diag L",
              peri_mul(peri_sum(peri_log(peri_diagonal(l)), dims(1, -1), false), peri_number(2)),
              peri_logdet(sym(c->in[0])), 1e-13);
}

static void check_qr (const test_case *c, peri_tensor *q) {
  int64_t k = size_at(q, -1);
  peri_tensor *r = peri_matmul(flipped(q), c->in[0]), *d = peri_diagonal(r);
  expect_near("Q' Q = I", peri_matmul(flipped(q), q),
              peri_add(peri_mul(rows(peri_matmul(flipped(q), q), 0, k), peri_number(0)), eye(k)), 1e-13);
  expect_near("Q R = A", peri_matmul(q, r), c->in[0], 1e-13);
  for (int64_t i = 0; i < d->count; i++) assert_true(value(d, i) > 0);
  for (int64_t i = 0, n = size_at(r, -1); i < r->count; i++)
    if (i % n < i / n % k) assert_true(fabs(value(r, i)) < 1e-12);
}

static void check_eigen (const test_case *c, peri_tensor *y) {
  int64_t n = size_at(y, -1);
  peri_tensor *w = rows(y, 0, 1), *v = rows(y, 1, n + 1), *a = sym(c->in[0]);
  expect_near("A V = V W", peri_matmul(a, v), peri_mul(v, w), 1e-12);
  expect_near("V W V' = A", peri_matmul(peri_mul(v, w), flipped(v)), a, 1e-12);
  peri_dims flat = peri_shape_of(w);
  flat.at[flat.n - 2] = flat.at[flat.n - 1];
  flat.n--;
  w = peri_reshape(w, flat);
  expect_near("eigvalsh", peri_eigvalsh(c->in[0]), w, 1e-13);
  expect_near("trace = sum of eigenvalues", peri_sum(w, dims(1, -1), false), peri_trace(a), 1e-12);
  for (int64_t i = 0; i + 1 < w->count; i++)
    if ((i + 1) % n) assert_true(value(w, i) <= value(w, i + 1));
}

static void check_svd (const test_case *c, peri_tensor *y) {
  peri_tensor *x = c->in[0];
  int64_t m = size_at(x, -2), n = size_at(x, -1), k = size_at(y, -1);
  peri_tensor *u = rows(y, 0, m), *s = rows(y, m, m + 1), *v = rows(y, m + 1, m + 1 + n);
  expect_near("U S V' = A", peri_matmul(peri_mul(u, s), flipped(v)), x, 1e-13);
  peri_tensor *one = peri_expand(eye(k), peri_shape_of(peri_matmul(flipped(v), v)));
  expect_near("U' U = I", peri_matmul(flipped(u), u), one, 1e-13);
  expect_near("V' V = I", peri_matmul(flipped(v), v), one, 1e-13);
  peri_tensor *values = peri_svdvals(x);
  expect_near("svdvals", values, peri_reshape(s, peri_shape_of(values)), 1e-13);
  for (int64_t i = 0; i < values->count; i++)
    assert_true(value(values, i) >= 0 && ((i + 1) % k == 0 || value(values, i) >= value(values, i + 1)));
}

static void check_inverse (const test_case *c, peri_tensor *y) {
  peri_tensor *x = c->in[0];
  expect_near("A A^-1 = I", peri_matmul(x, y),
              peri_expand(eye(size_at(x, -1)), peri_shape_of(x)), 1e-12);
  expect_near("the inverse of the inverse", peri_inverse(y), x, 1e-12);
}

/* det as the product of the eigenvalues of A A': log |det A| = half their logarithms' sum. */
static void check_logdet (const test_case *c, peri_tensor *y) {
  peri_tensor *w = peri_eigvalsh(peri_matmul(c->in[0], flipped(c->in[0])));
  expect_near("log |det|", y,
              peri_mul(peri_sum(peri_log(w), dims(1, -1), false), peri_number(0.5)), 1e-11);
}

/* The sign of a matrix whose rows 1 and 2 change places is the other one. */
static void check_sign (const test_case *c, peri_tensor *y) {
  peri_tensor *x = c->in[0];
  if (size_at(x, -1) < 2) return;
  peri_tensor *parts[] = {rows(x, 1, 2), rows(x, 0, 1), rows(x, 2, size_at(x, -1))};
  expect_near("sign of exchanged rows", peri_det_sign(peri_concat(3, parts, x->ndim - 2)), peri_neg(y),
              0);
  for (int64_t i = 0; i < y->count; i++) assert_true(fabs(value(y, i)) == 1);
}

static void check_solve (const test_case *c, peri_tensor *y) {
  expect_near("A X = B", peri_matmul(c->in[0], y),
              peri_expand(c->in[1], peri_shape_of(y)), 1e-12);
}

static void check_triangular (const test_case *c, peri_tensor *y) {
  peri_tensor *a = c->in[0], *keep = peri_full(PERI_REAL, dims(2, (int) size_at(a, -1),
                                                               (int) size_at(a, -1)), 0);
  for (int64_t k = 0, n = size_at(a, -1); k < keep->count; k++)
    ((double *) keep->data)[k] = c->a.keep ? k % n <= k / n : k % n >= k / n;
  a = peri_mul(a, keep);
  if (c->a.i[0]) a = flipped(a);
  expect_near("T X = B", peri_matmul(a, y), peri_expand(c->in[1], peri_shape_of(y)), 1e-12);
}

static void check_root (const test_case *c, peri_tensor *y) {
  expect_near("R R = A", peri_matmul(y, y), sym(c->in[0]), 1e-12);
  expect_near("R = R'", y, flipped(y), 0);
}

static void check_lyapunov (const test_case *c, peri_tensor *y) {
  peri_tensor *a = sym(c->in[0]);
  expect_near("A Y + Y A = B", peri_add(peri_matmul(a, y), peri_matmul(y, a)), c->in[1], 1e-12);
}

static void check_diagonal (const test_case *c, peri_tensor *y) {
  peri_tensor *x = c->in[0];
  int64_t m = size_at(x, -2), n = size_at(x, -1), k = m < n ? m : n;
  for (int64_t i = 0; i < y->count; i++)
    assert_true(value(y, i) == value(x, i / k * m * n + i % k * (n + 1)));
  expect_near("trace", peri_trace(x), peri_sum(y, dims(1, -1), false), 1e-14);
  expect_near("diagonal of diag_embed", peri_diagonal(peri_diag_embed(y)), y, 0);
  expect_near("all else is 0", peri_sum(peri_abs(peri_diag_embed(y)), dims(2, -2, -1), false),
              peri_sum(peri_abs(y), dims(1, -1), false), 1e-14);
}

static const struct { peri_opcode op; void (*check) (const test_case *c, peri_tensor *y); } laws[] = {
  {PERI_OP_cholesky, check_cholesky}, {PERI_OP_qr_q, check_qr}, {PERI_OP_eigh_packed, check_eigen},
  {PERI_OP_svd_packed, check_svd}, {PERI_OP_inverse, check_inverse}, {PERI_OP_logdet, check_logdet},
  {PERI_OP_det_sign, check_sign}, {PERI_OP_solve, check_solve}, {PERI_OP_sqrtm, check_root},
  {PERI_OP_solve_triangular, check_triangular}, {PERI_OP_lyapunov, check_lyapunov},
  {PERI_OP_diagonal, check_diagonal}};

static void test_laws (peri_opcode op) {
  test_case c;
  for (size_t i = 0; i < sizeof laws / sizeof laws[0]; i++)
    for (int number = 0; laws[i].op == op; number++) {
      peri_scope scope = peri_scope_open();
      bool was = peri_set_recording(false);
      bool more = make_case(op, 0, number / 2, number % 2 ? LARGE_SIZES : SMALL_SIZES, &c);
      peri_tensor *y = more ? run_case(&c) : NULL;
      expect_no_failure(c.name);
      if (more) laws[i].check(&c, y);
      peri_set_recording(was);
      peri_scope_close(scope);
      if (!more) break;
    }
}

/* --- single properties --- */

static peri_tensor *matrix (int n, const double *data) {
  return peri_copy_of(PERI_REAL, dims(2, n, n), data);
}

/* What is not read may be anything: the other triangle of a triangular matrix. */
static void test_unread_triangle (void **state) {
  const double data[] = {2, NAN, INFINITY, 1, 3, NAN, -1, 4, 5}, right[] = {2, 7, 12};
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *a = matrix(3, data), *b = peri_copy_of(PERI_REAL, dims(2, 3, 1), right);
  peri_tensor *same[] = {peri_solve_triangular(a, b, true, false),
                         peri_solve_triangular(flipped(a), b, false, true)};
  for (int i = 0; i < 2; i++) {
    expect_no_failure("solve_triangular");
    assert_true(fabs(value(same[i], 0) - 1) < 1e-15 && fabs(value(same[i], 1) - 2) < 1e-15);
    assert_true(fabs(value(same[i], 2) - 1) < 1e-15);
  }
  peri_scope_close(s);
}

/* Residuals stay small where solutions cannot be accurate: Hilbert matrices, condition 1e10. */
static void test_ill_conditioned (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  enum { N = 8 };
  double data[N * N];
  for (int i = 0; i < N * N; i++) data[i] = 1.0 / (i / N + i % N + 1);
  peri_tensor *a = matrix(N, data), *b = random_tensor(dims(2, N, 2), PERI_IN_REAL, PACKED);
  peri_tensor *y = peri_solve(a, b), *l = peri_cholesky(a);
  expect_near("L L' of Hilbert's matrix", peri_matmul(l, flipped(l)), a, 1e-15);
  double size = value(peri_max(peri_abs(y), dims(0), false), 0);
  expect_near("residual of Hilbert's matrix", peri_matmul(a, y), b, 1e-15 * size);
  expect_near("log det of Hilbert's matrix", peri_logdet(a),
              peri_mul(peri_sum(peri_log(peri_diagonal(l)), dims(0), false), peri_number(2)), 1e-8);
  peri_scope_close(s);
}

/* A row or column of tiny numbers is no reason to call a matrix singular; lost digits are. */
static void test_scaling (void **state) {
  const double scaled[] = {1e-200, 2e-200, 3, 4}, exact[] = {1, 2, 2, 4},
               rounded[] = {1, 2, 3, 4, 5, 6, 7, 8, 9},
               right[] = {1e-200, 1}, solution[] = {-1, 1};
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *b = peri_full(PERI_REAL, dims(2, 2, 1), 1);
  peri_tensor *y = peri_solve(matrix(2, scaled), peri_copy_of(PERI_REAL, dims(2, 2, 1), right));
  expect_near("a scaled system", y, peri_copy_of(PERI_REAL, dims(2, 2, 1), solution), 1e-14);
  assert_null(peri_solve(matrix(2, exact), b));
  expect_failure(PERI_E_ARGUMENT, "^solve: a of shape (2, 2) is singular", "pivot 2", NULL);
  assert_null(peri_inverse(matrix(3, rounded)));
  expect_failure(PERI_E_ARGUMENT, "^inverse: x of shape (3, 3) is singular", "pivot 3", NULL);
  assert_true(value(peri_logdet(matrix(2, exact)), 0) == -INFINITY);
  assert_true(value(peri_det_sign(matrix(2, exact)), 0) == 0);
  peri_scope_close(s);
}

/* Vectors of tied size keep their sign whatever the rounding: the first large entry is positive. */
static void test_signs (void **state) {
  const double data[] = {2, 1, 1, 2};
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *y = peri_eigh_packed(matrix(2, data));
  const double want[] = {1, 3, sqrt(0.5), sqrt(0.5), -sqrt(0.5), sqrt(0.5)};
  expect_near("eigenvectors of (2 1; 1 2)", y, peri_copy_of(PERI_REAL, dims(2, 3, 2), want), 1e-15);
  peri_scope_close(s);
}

/* The identity: its values and its root have derivatives, its vectors have none. */
static void test_ties (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_clone(eye(3)), *g = NULL;
  peri_require_grad(x, true);
  assert_int_equal(peri_grad(peri_sum(peri_eigvalsh(x), dims(0), false), NULL, 1, &x, 0, &g), PERI_OK);
  expect_near("d tr / dx", g, eye(3), 1e-15);
  assert_int_equal(peri_grad(peri_sum(peri_svdvals(x), dims(0), false), NULL, 1, &x, 0, &g), PERI_OK);
  expect_near("d nuclear norm / dx", g, eye(3), 1e-15);
  assert_int_equal(peri_grad(peri_trace(peri_sqrtm(x)), NULL, 1, &x, 0, &g), PERI_OK);
  expect_near("d tr sqrt / dx", g, peri_mul(eye(3), peri_number(0.5)), 1e-15);
  peri_tensor *one = peri_sum(peri_eigh_packed(x), dims(0), false);
  assert_int_not_equal(peri_grad(one, NULL, 1, &x, 0, &g), PERI_OK);
  expect_failure(PERI_E_ARGUMENT, "^eigh: value 1 of matrix 1 equals number 2", "eigvalsh", NULL);
  one = peri_sum(peri_svd_packed(x), dims(0), false);
  assert_int_not_equal(peri_grad(one, NULL, 1, &x, 0, &g), PERI_OK);
  expect_failure(PERI_E_ARGUMENT, "^svd: value 1", "svdvals", NULL);
  peri_scope_close(s);
}

/* --- what is refused --- */

static void test_refused (void **state) {
  const double indefinite[] = {1, 0, 0, 1, 1, 2, 2, 1}, zero[] = {1, 5, 5, 0};
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *batch = peri_copy_of(PERI_REAL, dims(3, 2, 2, 2), indefinite);
  peri_tensor *wide = peri_full(PERI_REAL, dims(2, 3, 4), 1), *v = peri_full(PERI_REAL, dims(1, 3), 1);
  peri_tensor *(*const square[]) (peri_tensor *x) = {peri_cholesky, peri_inverse, peri_logdet,
    peri_det_sign, peri_eigvalsh, peri_eigh_packed, peri_sqrtm};
  for (size_t i = 0; i < sizeof square / sizeof square[0]; i++) {
    assert_null(square[i](wide));
    expect_failure(PERI_E_SHAPE, "x of shape (3, 4) must be square", NULL);
    assert_null(square[i](v));
    expect_failure(PERI_E_SHAPE, "x of shape (3) must have two axes", NULL);
  }
  assert_null(peri_svdvals(v));
  expect_failure(PERI_E_SHAPE, "^svdvals: x of shape (3) must have two axes", NULL);
  assert_null(peri_cholesky(batch));
  expect_failure(PERI_E_ARGUMENT, "^cholesky: x of shape (2, 2, 2): matrix 2 is not positive definite",
                 "minor of order 2", NULL);
  assert_null(peri_sqrtm(batch));
  expect_failure(PERI_E_ARGUMENT, "matrix 2 is not positive semi-definite", "eigenvalue -1", NULL);
  assert_null(peri_solve(wide, wide));
  expect_failure(PERI_E_SHAPE, "^solve: a of shape (3, 4) must be square", NULL);
  assert_null(peri_solve(batch, wide));
  expect_failure(PERI_E_SHAPE, "^solve: a of shape (2, 2, 2) and b of shape (3, 4)", "(.., 2, k)", NULL);
  assert_null(peri_solve_triangular(batch, v, true, false));
  expect_failure(PERI_E_SHAPE, "^solve_triangular: ", "(2, 2, 2)", "(3)", NULL);
  assert_null(peri_solve(batch, peri_full(PERI_REAL, dims(3, 3, 2, 1), 1)));
  expect_failure(PERI_E_SHAPE, "^solve: ", "(2)", "(3)", NULL);
  assert_null(peri_solve_triangular(matrix(2, zero), peri_full(PERI_REAL, dims(2, 2, 1), 1), false,
                                    true));
  expect_failure(PERI_E_ARGUMENT, "entry (2, 2) of its diagonal is 0", NULL);
  assert_null(peri_lyapunov(peri_full(PERI_REAL, dims(2, 2, 2), 0), matrix(2, zero)));
  expect_failure(PERI_E_ARGUMENT, "^lyapunov: a of shape (2, 2)", "sum is 0", NULL);
  assert_null(peri_lyapunov(batch, matrix(2, zero)));
  expect_failure(PERI_E_SHAPE, "^lyapunov: a of shape (2, 2, 2) and b of shape (2, 2)", NULL);
  assert_null(peri_diagonal(v));
  expect_failure(PERI_E_SHAPE, "^diagonal: x of shape (3)", NULL);
  assert_null(peri_diag_embed(peri_number(1)));
  expect_failure(PERI_E_SHAPE, "^diag_embed: x of shape ()", NULL);
  peri_scope_close(s);
}

/* NaN or infinity anywhere ends in a message, never in a loop without end. */
static void test_not_finite (void **state) {
  peri_tensor *(*const rows_of[]) (peri_tensor *x) = {peri_cholesky, peri_inverse, peri_logdet,
    peri_det_sign, peri_eigvalsh, peri_eigh_packed, peri_sqrtm, peri_svdvals, peri_svd_packed,
    peri_qr_q};
  (void) state;
  for (size_t i = 0; i < sizeof rows_of / sizeof rows_of[0]; i++)
    for (int k = 0; k < 32; k++) {
      peri_scope s = peri_scope_open();
      peri_tensor *x = peri_clone(peri_expand(eye(4), dims(3, 2, 4, 4)));
      ((double *) x->data)[k] = k % 3 == 0 ? NAN : k % 3 == 1 ? INFINITY : -INFINITY;
      assert_null(rows_of[i](x));
      expect_failure(PERI_E_ARGUMENT, k < 16 ? "matrix 1" : "matrix 2", "NaN or infinite", NULL);
      peri_scope_close(s);
    }
}

/* --- many threads --- */

enum { ROUNDS = 60, CALLERS = 4, SIZE = 90 };

/* Bytes of everything LAPACK does for this library. */
static uint64_t digest_all (void) {
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_empty(PERI_REAL, dims(3, 2, SIZE, SIZE));
  for (int64_t k = 0; k < x->count; k++)
    ((double *) x->data)[k] = sin((double) (k * k % 9973)) + (k % (SIZE + 1) == 0 ? 4 : 0);
  peri_tensor *a = peri_matmul(x, flipped(x));
  peri_tensor *y[] = {peri_cholesky(a), peri_qr_q(x), peri_inverse(x), peri_solve(x, a), peri_logdet(x),
    peri_eigh_packed(a), peri_svd_packed(x), peri_svdvals(x), peri_solve_triangular(a, x, true, true)};
  uint64_t chain = 1;
  for (size_t i = 0; i < sizeof y / sizeof y[0]; i++) {
    for (int64_t k = 0; y[i] && k < y[i]->count; k++) {
      uint64_t word;
      memcpy(&word, (double *) y[i]->data + k, sizeof word);
      chain = (chain ^ word) * 0x100000001b3u;
      chain ^= chain >> 29;
    }
    if (!y[i]) chain = 0;
  }
  peri_scope_close(s);
  return chain;
}

static uint64_t digest_wanted;

static void *call_often (void *arg) {
  intptr_t wrong = 0;
  (void) arg;
  for (int i = 0; i < ROUNDS / CALLERS; i++) wrong += digest_all() != digest_wanted;
  return (void *) wrong;
}

/* By the pool's threads, and by threads of the caller's own, which share the pool. */
static void test_concurrency (void **state) {
  (void) state;
  int threads = peri_threads();
  peri_set_threads(1);
  digest_wanted = digest_all();
  expect_no_failure("the decompositions");
  assert_true(digest_wanted != 0);
  peri_set_threads(4);
  for (int i = 0; i < ROUNDS / CALLERS; i++) assert_true(digest_all() == digest_wanted);
  peri_set_threads(1);                      /* every caller now runs its own calls */
  pthread_t caller[CALLERS];
  for (int i = 0; i < CALLERS; i++) assert_int_equal(pthread_create(&caller[i], NULL, call_often, NULL), 0);
  for (int i = 0; i < CALLERS; i++) {
    void *wrong;
    pthread_join(caller[i], &wrong);
    assert_true(wrong == NULL);
  }
  peri_set_threads(threads);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_unread_triangle), cmocka_unit_test(test_ill_conditioned),
    cmocka_unit_test(test_scaling), cmocka_unit_test(test_signs), cmocka_unit_test(test_ties),
    cmocka_unit_test(test_refused), cmocka_unit_test(test_not_finite),
    cmocka_unit_test(test_concurrency)};
  int failed = run_rows("laws of decompositions", test_laws)
             + cmocka_run_group_tests(tests, NULL, NULL);
  return failed != 0;
}
