/* Decompositions as users run them, in float32: the laws within its rounding, on sizes that LAPACK
   works on in blocks, and systems that are ill-conditioned for this precision. */
#include <float.h>
#include <math.h>

#include "harness.h"

static peri_tensor *flipped (peri_tensor *x) { return peri_transpose(x, -2, -1); }
static peri_tensor *rows (peri_tensor *x, int64_t from, int64_t to) {
  return peri_slice(x, -2, from, to, 1);
}

/* |x - y| / |y| in the Euclidean norm */
static double distance (peri_tensor *x, peri_tensor *y) {
  double difference = 0, norm = 0;
  expect_no_failure("a law");
  x = peri_clone(x);
  y = peri_clone(peri_expand(y, peri_shape_of(x)));
  for (int64_t k = 0; k < x->count; k++) {
    double d = value(x, k) - value(y, k);
    difference += d * d;
    norm += value(y, k) * value(y, k);
  }
  return sqrt(difference / norm);
}

static peri_tensor *eye (int n) { return peri_diag_embed(peri_full(PERI_REAL, dims(1, n), 1)); }

static void test_laws (void **state) {
  static const int sizes[][3] = {{1, 200, 200}, {3, 150, 70}, {3, 70, 150}, {100, 5, 5}};
  (void) state;
  for (int i = 0; i < 4; i++) {
    peri_scope s = peri_scope_open();
    int m = sizes[i][1], n = sizes[i][2], k = m < n ? m : n;
    seed_numbers((uint64_t) i);
    peri_tensor *x = random_tensor(dims(3, sizes[i][0], m, n), PERI_IN_REAL, PACKED);
    peri_tensor *a = peri_add(peri_matmul(x, flipped(x)), eye(m)), *q = peri_qr_q(x);
    assert_true(distance(peri_matmul(flipped(q), q), eye(k)) < 1e-5);
    assert_true(distance(peri_matmul(q, peri_matmul(flipped(q), x)), x) < 1e-5);
    peri_tensor *f = peri_svd_packed(x), *v = rows(f, m + 1, m + 1 + n);
    assert_true(distance(peri_matmul(peri_mul(rows(f, 0, m), rows(f, m, m + 1)), flipped(v)), x) < 1e-5);
    assert_true(distance(peri_matmul(flipped(v), v), eye(k)) < 1e-5);
    peri_tensor *l = peri_cholesky(a), *e = peri_eigh_packed(a), *w = rows(e, 1, m + 1);
    assert_true(distance(peri_matmul(l, flipped(l)), a) < 1e-5);
    assert_true(distance(peri_matmul(peri_mul(w, rows(e, 0, 1)), flipped(w)), a) < 1e-5);
    peri_tensor *root = peri_sqrtm(a);
    assert_true(distance(peri_matmul(root, root), a) < 1e-5);
    peri_tensor *logs = peri_sum(peri_log(peri_diagonal(l)), dims(1, -1), false);
    assert_true(distance(peri_logdet(a), peri_mul(logs, peri_number(2))) < 1e-5);
    assert_true(distance(peri_matmul(l, peri_solve_triangular(l, x, true, false)), x) < 1e-5);
    assert_true(distance(peri_matmul(a, peri_solve(a, x)), x) < 1e-3);     /* condition about 1e5 */
    assert_true(distance(peri_matmul(a, peri_inverse(a)), eye(m)) < 1e-2);
    peri_scope_close(s);
  }
}

/* Hilbert's matrix of order 5, condition 5e5: the residual is small, the order 12 is refused. */
static void test_ill_conditioned (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  for (int n = 5; n <= 12; n += 7) {
    peri_tensor *a = peri_empty(PERI_REAL, dims(2, n, n)), *b = peri_full(PERI_REAL, dims(2, n, 1), 1);
    for (int k = 0; k < n * n; k++) ((float *) a->data)[k] = 1.0f / (float) (k / n + k % n + 1);
    if (n == 5) {
      peri_tensor *y = peri_solve(a, b);
      double size = value(peri_max(peri_abs(y), dims(0), false), 0);
      assert_true(distance(peri_matmul(a, y), b) < FLT_EPSILON * size);
    } else {
      assert_null(peri_cholesky(a));
      expect_failure(PERI_E_ARGUMENT, "^cholesky: x of shape (12, 12) is not positive definite", NULL);
    }
  }
  peri_scope_close(s);
}

int main (void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_laws),
                                     cmocka_unit_test(test_ill_conditioned)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
