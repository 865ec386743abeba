/* Cross-entropy, the softmax family and the newer reductions: laws, huge and masked logits, zeros,
   and what they refuse. */
#include <math.h>

#include "harness.h"

static peri_tensor *numbers (int n, const double *x) {
  return peri_copy_of(PERI_REAL, dims(1, n), x);
}

static peri_tensor *target (int k) {
  int32_t index = k;
  return peri_copy_of(PERI_INDEX, dims(0), &index);
}

static double loss_of (int n, const double *x, int k, double smoothing) {
  peri_tensor *y = peri_cross_entropy(numbers(n, x), target(k), 0, smoothing);
  expect_no_failure("cross_entropy");
  return value(y, 0);
}

static void near (double got, double want, double tolerance) {
  if (!(fabs(got - want) <= tolerance)) fail_msg("%.17g, want %.17g", got, want);
}

/* cross_entropy = -log_softmax at the target, smoothed with the mean of all, on every axis */
static void test_definition (void **state) {
  (void) state;
  for (int axis = 0; axis < 3; axis++)
    for (int smooth = 0; smooth < 3; smooth++) {
      peri_scope s = peri_scope_open();
      double a = 0.5 * smooth;
      peri_dims shape = dims(3, 5, 6, 7), lines = {.n = 0};
      for (int i = 0; i < 3; i++) if (i != axis) lines.at[lines.n++] = shape.at[i];
      peri_tensor *x = random_tensor(shape, PERI_IN_REAL, TRANSPOSED);
      peri_tensor *index = new_tensor(PERI_INDEX, lines, PACKED);
      for (int64_t k = 0; k < index->count; k++)
        ((int32_t *) index->data)[k] = draw_integer(1, (int) shape.at[axis]);
      peri_tensor *l = peri_log_softmax(x, axis);
      peri_dims kept = shape;
      kept.at[axis] = 1;
      peri_tensor *picked = peri_gather(l, peri_reshape(index, kept), axis);
      peri_tensor *all = peri_mean(l, dims(1, axis), true), *number = peri_number(a);
      peri_tensor *want = peri_neg(peri_add(peri_mul(peri_sub(peri_number(1), number), picked),
                                            peri_mul(number, all)));
      peri_tensor *got = peri_cross_entropy(x, index, axis, a);
      expect_no_failure("cross_entropy");
      for (int64_t k = 0; k < got->count; k++) near(value(got, k), value(want, k), 1e-14);
      peri_scope_close(s);
    }
}

static void test_extreme_logits (void **state) {
  const double big[] = {1e4, 0, -1e4}, huge[] = {1e300, -1e300, 0}, equal[] = {1e300, 1e300};
  const double masked[] = {-INFINITY, 1, 2, -INFINITY}, large[] = {1e6 + 1, 1e6};
  (void) state;
  peri_scope s = peri_scope_open();
  assert_true(loss_of(3, big, 1, 0) == 0 && loss_of(3, big, 2, 0) == 1e4 && loss_of(3, big, 3, 0) == 2e4);
  assert_true(loss_of(3, huge, 1, 0) == 0 && loss_of(3, huge, 3, 0) == 1e300);
  near(loss_of(2, equal, 2, 0), log(2), 1e-15);
  near(loss_of(2, large, 1, 0), log1p(exp(-1)), 1e-15);
  near(loss_of(4, masked, 2, 0), log1p(exp(1)), 1e-15);
  assert_true(loss_of(4, masked, 1, 0) == INFINITY);
  peri_tensor *x = numbers(4, masked), *g;
  peri_require_grad(x, true);
  peri_grad(peri_cross_entropy(x, target(2), 0, 0), NULL, 1, &x, 0, &g);
  expect_no_failure("cross_entropy");
  double p = 1 / (1 + exp(1));
  assert_true(value(g, 0) == 0 && value(g, 3) == 0);
  near(value(g, 1), p - 1, 1e-15);
  near(value(g, 2), 1 - p, 1e-15);
  peri_scope_close(s);
}

/* sums to one, does not feel a shift, and exp of log_softmax is softmax; rows longer than a block */
static void test_softmax_laws (void **state) {
  (void) state;
  static const int sizes[][3] = {{1, 1, 1}, {3, 5, 1}, {2, 1000, 1}, {2, 700, 300}, {1, 20000, 2}};
  for (int i = 0; i < 5; i++) {
    peri_scope s = peri_scope_open();
    peri_tensor *x = random_tensor(dims(3, sizes[i][0], sizes[i][1], sizes[i][2]), PERI_IN_REAL, PACKED);
    peri_tensor *y = peri_softmax(x, 1), *shifted = peri_softmax(peri_add(x, peri_number(64)), 1);
    peri_tensor *total = peri_sum(y, dims(1, 1), false), *l = peri_exp(peri_log_softmax(x, 1));
    peri_tensor *lse = peri_logsumexp(x, dims(1, 1), false);
    peri_tensor *up = peri_logsumexp(peri_add(x, peri_number(64)), dims(1, 1), false);
    expect_no_failure("softmax");
    for (int64_t k = 0; k < total->count; k++) {
      near(value(total, k), 1, 1e-14);
      near(value(up, k) - 64, value(lse, k), 1e-13);
    }
    for (int64_t k = 0; k < y->count; k += 7) {
      near(value(shifted, k) / value(y, k), 1, 1e-13);
      near(value(l, k) / value(y, k), 1, 1e-13);
    }
    peri_scope_close(s);
  }
}

static void test_infinite_rows (void **state) {
  const double low[] = {-INFINITY, -INFINITY, -INFINITY}, mixed[] = {-INFINITY, 2, -INFINITY};
  (void) state;
  peri_scope s = peri_scope_open();
  assert_true(value(peri_logsumexp(numbers(3, low), dims(0), false), 0) == -INFINITY);
  assert_true(value(peri_logsumexp(numbers(3, mixed), dims(0), false), 0) == 2);
  peri_tensor *y = peri_softmax(numbers(3, mixed), 0), *l = peri_log_softmax(numbers(3, mixed), 0);
  assert_true(value(y, 0) == 0 && value(y, 1) == 1 && value(l, 1) == 0 && value(l, 2) == -INFINITY);
  peri_scope_close(s);
}

/* var of a constant is 0, of x + c that of x however large c; the mean square when c is the mean */
static void test_var (void **state) {
  (void) state;
  static const int sizes[][3] = {{3, 7, 1}, {1, 100000, 1}, {2, 40000, 3}, {1, 500, 600}};
  for (int i = 0; i < 4; i++) {
    peri_scope s = peri_scope_open();
    peri_tensor *x = random_tensor(dims(3, sizes[i][0], sizes[i][1], sizes[i][2]), PERI_IN_REAL, PACKED);
    peri_tensor *far = peri_add(x, peri_number(1e6)), *flat = peri_full(PERI_REAL, peri_shape_of(x), 0.1);
    peri_dims axis = dims(1, 1);
    peri_tensor *v = peri_var(x, axis, false, 0), *u = peri_var(far, axis, false, 0);
    peri_tensor *b = peri_var(x, axis, false, 1), *zero = peri_var(flat, axis, false, 0);
    peri_tensor *want = peri_mean(peri_square(peri_sub(x, peri_mean(x, axis, true))), axis, false);
    expect_no_failure("var");
    double n = sizes[i][1];
    for (int64_t k = 0; k < v->count; k++) {
      near(value(v, k), value(want, k), 1e-13);
      near(value(u, k), value(want, k), 1e-8);
      near(value(b, k) * (n - 1) / n, value(v, k), 1e-13);
      assert_true(value(zero, k) < 1e-25);
    }
    peri_scope_close(s);
  }
}

/* The gradient of a product at one zero, at two, and the second derivative between them. */
static void test_prod (void **state) {
  const double one[] = {2, 0, 5}, two[] = {0, 3, 0, 7}, odd[] = {1, 2, 3, 4, 5};
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = numbers(3, one), *g, *h;
  peri_require_grad(x, true);
  peri_grad(peri_prod(x, dims(0), false), NULL, 1, &x, 0, &g);
  assert_true(value(g, 0) == 0 && value(g, 1) == 10 && value(g, 2) == 0);
  x = numbers(4, two);
  peri_require_grad(x, true);
  peri_grad(peri_prod(x, dims(0), false), NULL, 1, &x, PERI_CREATE_GRAPH, &g);
  for (int k = 0; k < 4; k++) assert_true(value(g, k) == 0);
  peri_grad(peri_slice(g, 0, 0, 1, 1), peri_full(PERI_REAL, dims(1, 1), 1), 1, &x, 0, &h);
  expect_no_failure("prod");
  assert_true(value(h, 2) == 21 && value(h, 0) == 0 && value(h, 1) == 0 && value(h, 3) == 0);
  assert_true(value(peri_prod(numbers(5, odd), dims(0), false), 0) == 120);
  assert_true(value(peri_prod(peri_full(PERI_REAL, dims(1, 0), 3), dims(0), false), 0) == 1);
  peri_scope_close(s);
}

static void test_norm_any_all (void **state) {
  const double zero[] = {0, 0, 0}, some[] = {0, -2, NAN}, full[] = {1, -1, 3};
  const uint8_t bytes[] = {0, 1, 0};
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = numbers(3, zero), *g;
  peri_require_grad(x, true);
  peri_tensor *y = peri_norm(x, dims(0), false);
  assert_true(value(y, 0) == 0);
  peri_grad(y, NULL, 1, &x, 0, &g);
  for (int k = 0; k < 3; k++) assert_true(value(g, k) == 0);
  near(value(peri_norm(numbers(3, full), dims(0), false), 0), sqrt(11), 1e-15);
  const double *rows[] = {zero, some, full};
  for (int i = 0; i < 3; i++) {
    peri_tensor *any = peri_any(numbers(3, rows[i]), dims(0), false);
    peri_tensor *all = peri_all(numbers(3, rows[i]), dims(0), false);
    assert_int_equal(any->dtype, PERI_BYTE);
    assert_true(value(any, 0) == (i > 0) && value(all, 0) == (i == 2));
  }
  peri_tensor *b = peri_copy_of(PERI_BYTE, dims(1, 3), bytes);
  assert_true(value(peri_any(b, dims(0), false), 0) == 1 && value(peri_all(b, dims(0), false), 0) == 0);
  peri_tensor *none = peri_full(PERI_REAL, dims(1, 0), 1);
  assert_true(value(peri_any(none, dims(0), false), 0) == 0);
  assert_true(value(peri_all(none, dims(0), false), 0) == 1);
  peri_scope_close(s);
}

static void test_refusals (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = random_tensor(dims(2, 4, 3), PERI_IN_REAL, PACKED);
  const int32_t good[] = {1, 2, 3, 1}, bad[] = {1, 2, 4, 1};
  peri_tensor *index = peri_copy_of(PERI_INDEX, dims(1, 4), good);
  assert_null(peri_cross_entropy(x, peri_copy_of(PERI_INDEX, dims(1, 4), bad), -1, 0));
  expect_failure(PERI_E_ARGUMENT, "^cross_entropy: ", "entry 3", "4", "1..3", NULL);
  assert_null(peri_cross_entropy(x, index, 0, 0));
  expect_failure(PERI_E_SHAPE, "^cross_entropy: ", "(4)", "(4, 3)", NULL);
  assert_null(peri_cross_entropy(x, index, -1, 1.5));
  expect_failure(PERI_E_ARGUMENT, "^cross_entropy: ", "smoothing", "1.5", NULL);
  assert_null(peri_cross_entropy(x, index, -1, NAN));
  expect_failure(PERI_E_ARGUMENT, "smoothing", NULL);
  assert_null(peri_cross_entropy_grad(x, index, x, -1, 0));
  expect_failure(PERI_E_SHAPE, "^cross_entropy_grad: ", "(4, 3)", "(4)", NULL);
  assert_null(peri_softmax_grad(x, index ? peri_transpose(x, 0, 1) : NULL, -1));
  expect_failure(PERI_E_SHAPE, "^softmax_grad: ", "(4, 3)", "(3, 4)", NULL);
  assert_null(peri_var(peri_full(PERI_REAL, dims(2, 3, 1), 1), dims(1, 1), false, 1));
  expect_failure(PERI_E_ARGUMENT, "^var: ", "correction 1", NULL);
  peri_scope_close(s);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_definition), cmocka_unit_test(test_extreme_logits),
    cmocka_unit_test(test_softmax_laws), cmocka_unit_test(test_infinite_rows),
    cmocka_unit_test(test_var), cmocka_unit_test(test_prod), cmocka_unit_test(test_norm_any_all),
    cmocka_unit_test(test_refusals)};
  seed_numbers(17);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
