/* float32 products of every proportion, narrow and large enough to be cut, stored either way, against
   loops in double; and dense against linear and the activation. */
#include <math.h>

#include "harness.h"

/* rows x columns of normal numbers, as a transposed view when `flip`. */
static peri_tensor *matrix (peri_rng *r, int64_t rows, int64_t columns, bool flip) {
  if (!flip) return peri_rng_normal(r, peri_shape(2, rows, columns));
  return peri_transpose(peri_rng_normal(r, peri_shape(2, columns, rows)), -2, -1);
}

static void check_product (const peri_tensor *a, const peri_tensor *b, const peri_tensor *c) {
  int64_t m = a->shape[0], k = a->shape[1], n = b->shape[1];
  double distance = 0, norm = 0;
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double want = 0;
      for (int64_t l = 0; l < k; l++) want += value(a, i * k + l) * value(b, l * n + j);
      double d = value(c, i * n + j) - want;
      distance += d * d;
      norm += want * want;
    }
  if (!(sqrt(distance) <= 1e-5 * sqrt(norm)))
    fail_msg("(%d, %d) by (%d, %d): relative error %.3g", (int) m, (int) k, (int) k, (int) n,
             sqrt(distance / norm));
}

static void test_products (void **state) {
  static const int64_t sizes[] = {1, 2, 3, 4, 5, 17, 64, 601};
  enum { NSIZES = sizeof sizes / sizeof sizes[0] };
  (void) state;
  peri_rng r = peri_rng_seed(5, NULL);
  for (int i = 0; i < NSIZES * NSIZES * NSIZES; i++) {
    int64_t m = sizes[i % NSIZES], n = sizes[i / NSIZES % NSIZES], k = sizes[i / NSIZES / NSIZES];
    if (m * n * k > 4000000) continue;
    for (int flips = 0; flips < 4; flips++) {
      peri_scope s = peri_scope_open();
      peri_tensor *a = matrix(&r, m, k, flips & 1), *b = matrix(&r, k, n, flips & 2);
      peri_tensor *c = peri_matmul(a, b);
      expect_no_failure("matmul");
      check_product(peri_clone(a), peri_clone(b), c);
      peri_scope_close(s);
    }
  }
}

static peri_tensor *activate (int which, peri_tensor *x) {
  switch (which) {
    case 0: return peri_relu(x);
    case 1: return peri_leaky_relu(x, 0.2);
    case 2: return peri_tanh(x);
    default: return peri_sigmoid(x);
  }
}

/* Widths below, at and above a vector; rows that leave a rest. */
static void test_dense (void **state) {
  static const int64_t widths[] = {1, 2, 7, 15, 16, 33, 200};
  (void) state;
  peri_rng r = peri_rng_seed(6, NULL);
  for (int i = 0; i < 7; i++)
    for (int which = 0; which < 4; which++) {
      peri_scope s = peri_scope_open();
      peri_tensor *x = matrix(&r, 301, 20, false), *w = matrix(&r, 20, widths[i], false);
      peri_tensor *b = peri_rng_normal(&r, peri_shape(1, widths[i]));
      peri_tensor *y = peri_dense(x, w, b, which, 0.2);
      peri_tensor *want = activate(which, peri_add(peri_matmul(x, w), b));
      peri_tensor *error = peri_max(peri_abs(peri_sub(y, want)), dims(0), false);
      expect_no_failure("dense");
      assert_true(value(error, 0) <= 1e-6);
      peri_scope_close(s);
    }
}

int main (void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_dense)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
