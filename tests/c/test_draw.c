/* Draws whose parameters are tensors: what they depend on, what they refuse, and the derivative of
   a gamma draw.  That they follow their densities is shown in lua/test_dist_*.lua. */
#include <math.h>
#include <string.h>

#include "harness.h"

typedef peri_tensor *draw (peri_rng *r, peri_tensor *x);

static peri_tensor *binomial_of_40 (peri_rng *r, peri_tensor *x) {
  return peri_rng_binomial(r, peri_number(40), peri_div(x, peri_number(64)));
}

/* A row of three classes for each entry of x. */
static peri_tensor *classes_of (peri_rng *r, peri_tensor *x) {
  peri_tensor *three[] = {x, peri_neg(x), peri_square(x)};
  return peri_rng_categorical(r, peri_stack(3, three, -1));
}

static draw *const draws[] = {peri_rng_gamma, peri_rng_log_gamma, peri_rng_poisson,
                              peri_rng_von_mises, binomial_of_40, classes_of};
enum { DRAWS = sizeof draws / sizeof draws[0], MANY = 20000 };

/* Parameters in 0.05 .. 40, which every family takes, on both sides of its changes of method. */
static peri_tensor *parameters (int64_t n) {
  peri_rng r = peri_rng_seed(3, NULL);
  peri_tensor *u = peri_rng_uniform(&r, peri_shape(1, n));
  return peri_add(peri_mul(peri_square(u), peri_number(40)), peri_number(0.05));
}

static void expect_same (const peri_tensor *x, const peri_tensor *y, int64_t from, int64_t to) {
  for (int64_t k = from; k < to; k++) assert_true(value(x, k) == value(y, k));
}

/* The same bytes for any number of threads. */
static void test_threads (void **state) {
  (void) state;
  int threads = peri_threads();
  for (int d = 0; d < DRAWS; d++) {
    peri_scope s = peri_scope_open();
    peri_tensor *x = parameters(MANY), *first = NULL;
    for (int t = 1; t < 6; t++) {
      peri_set_threads(t);
      peri_rng r = peri_rng_seed(7, NULL);
      peri_tensor *y = draws[d](&r, x);
      if (!first) first = y;
      assert_memory_equal(y->data, first->data, first->storage->bytes);
    }
    peri_scope_close(s);
  }
  peri_set_threads(threads);
}

/* The first n of a longer draw are the draw of n; a changed parameter changes its own entry alone;
   two draws of a stream differ; a strided parameter is read by its shape. */
static void test_neighbours (void **state) {
  (void) state;
  for (int d = 0; d < DRAWS; d++) {
    peri_scope s = peri_scope_open();
    peri_tensor *x = parameters(3000), *changed = peri_clone(x);
    ((peri_real *) changed->data)[1000] = 33;
    peri_rng r = peri_rng_seed(7, NULL), a = r, b = r, c = r;
    peri_tensor *y = draws[d](&r, x), *again = draws[d](&r, x);
    expect_same(y, draws[d](&a, peri_slice(x, 0, 0, 100, 1)), 0, 100);
    peri_tensor *other = draws[d](&b, changed);
    expect_same(y, other, 0, 1000);
    expect_same(y, other, 1001, 3000);
    expect_same(draws[d](&c, peri_slice(x, 0, 0, 3000, 3)), draws[d](&(peri_rng) {.key = 7},
                peri_clone(peri_slice(x, 0, 0, 3000, 3))), 0, 1000);
    int same = 0;
    for (int64_t k = 0; k < 3000; k++) same += value(y, k) == value(again, k);
    assert_true(same < 2950);
    peri_scope_close(s);
  }
}

/* exp of the logarithm is the draw, and the smallest number stands for what is below it. */
static void test_log_gamma (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_mul(parameters(MANY), peri_number(0.02));
  peri_rng r = peri_rng_seed(9, NULL), copy = r;
  peri_tensor *l = peri_rng_log_gamma(&r, x), *y = peri_rng_gamma(&copy, x);
  int tiny = 0;
  for (int64_t k = 0; k < MANY; k++) {
    double want = exp(value(l, k));
    if (want < 0x1p-126) want = 0x1p-126, tiny++;
    assert_true(fabs(value(y, k) / want - 1) < 1e-12);
  }
  assert_true(tiny > 10);
  peri_scope_close(s);
}

static void test_edges (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_rng r = peri_rng_seed(5, NULL);
  const peri_real zero[] = {0, 0, 0}, ends[] = {0, 1, 0.5}, one[] = {-INFINITY, -3, -INFINITY};
  peri_tensor *zeros = peri_copy_of(PERI_REAL, dims(1, 3), zero);
  peri_tensor *k = peri_rng_poisson(&r, zeros);
  for (int i = 0; i < 3; i++) assert_true(value(k, i) == 0);
  k = peri_rng_binomial(&r, peri_number(1000), peri_copy_of(PERI_REAL, dims(1, 3), ends));
  assert_true(value(k, 0) == 0 && value(k, 1) == 1000 && value(k, 2) > 400);
  assert_true(value(peri_rng_categorical(&r, peri_copy_of(PERI_REAL, dims(1, 3), one)), 0) == 2);
  k = peri_rng_von_mises(&r, zeros);
  for (int i = 0; i < 3; i++) assert_true(fabs(value(k, i)) <= 3.1415926536);
  assert_int_equal(peri_rng_gamma(&r, peri_full(PERI_REAL, dims(2, 0, 3), 1))->count, 0);
  assert_int_equal(peri_rng_categorical(&r, peri_full(PERI_REAL, dims(2, 0, 3), 1))->count, 0);
  /* huge and tiny parameters end, and give numbers */
  for (int i = 0; i < 4; i++) {
    const double at[] = {1e-30, 1e-3, 1e12, 1e30};
    peri_tensor *p = peri_full(PERI_REAL, dims(1, 50), at[i]);
    for (int d = 0; d < 4; d++)
      for (int e = 0; e < 50; e++) assert_true(isfinite(value(draws[d](&r, p), e)));
  }
  assert_null(peri_rng_gamma(&r, NULL));
  assert_null(peri_rng_categorical(&r, NULL));
  assert_int_equal(peri_error(), PERI_OK);
  peri_scope_close(s);
}

static void test_refusals (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_rng r = peri_rng_seed(5, NULL);
  const peri_real bad[] = {1, -2, 3}, odd[] = {1, NAN, 3};
  const peri_real none[] = {-INFINITY, -INFINITY, -INFINITY};
  peri_tensor *minus = peri_copy_of(PERI_REAL, dims(1, 3), bad);
  peri_tensor *nan = peri_copy_of(PERI_REAL, dims(1, 3), odd);
  assert_null(peri_rng_gamma(&r, minus));
  expect_failure(PERI_E_ARGUMENT, "^gamma: ", "entry 2 of shape is -2", NULL);
  assert_null(peri_rng_log_gamma(&r, nan));
  expect_failure(PERI_E_ARGUMENT, "^log_gamma: ", "nan", NULL);
  assert_null(peri_rng_poisson(&r, minus));
  expect_failure(PERI_E_ARGUMENT, "^poisson: ", "rate is -2", NULL);
  assert_null(peri_rng_von_mises(&r, minus));
  expect_failure(PERI_E_ARGUMENT, "^von_mises: ", "kappa is -2", NULL);
  assert_null(peri_rng_binomial(&r, peri_number(2.5), peri_number(0.5)));
  expect_failure(PERI_E_ARGUMENT, "^binomial: ", "n is 2.5", NULL);
  assert_null(peri_rng_binomial(&r, peri_number(2), peri_number(1.5)));
  expect_failure(PERI_E_ARGUMENT, "^binomial: ", "p is 1.5", NULL);
  assert_null(peri_rng_binomial(&r, minus, peri_full(PERI_REAL, dims(1, 2), 0.5)));
  expect_failure(PERI_E_SHAPE, "^binomial: ", "(3)", "(2)", NULL);
  assert_null(peri_rng_categorical(&r, nan));
  expect_failure(PERI_E_ARGUMENT, "^categorical: ", "nan in row 1", NULL);
  assert_null(peri_rng_categorical(&r, peri_copy_of(PERI_REAL, dims(1, 3), none)));
  expect_failure(PERI_E_ARGUMENT, "^categorical: ", "no class", NULL);
  assert_null(peri_rng_categorical(&r, peri_number(1)));
  expect_failure(PERI_E_SHAPE, "^categorical: ", "()", NULL);
  assert_null(peri_rng_gamma(&r, peri_full(PERI_INDEX, dims(1, 2), 1)));
  expect_failure(PERI_E_TYPE, "^gamma: ", "index", NULL);
  peri_scope_close(s);
}

/* Exponential and Gumbel draws come from one uniform each, so the first is -log(-log) of the
   second's. */
static void test_logarithms (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_rng r = peri_rng_seed(13, NULL), copy = r;
  peri_tensor *e = peri_rng_exponential(&r, dims(1, MANY));
  peri_tensor *g = peri_rng_gumbel(&copy, dims(1, MANY));
  double mean = 0;
  for (int64_t k = 0; k < MANY; k++) {
    assert_true(value(e, k) > 0 && fabs(value(g, k) + log(value(e, k))) < 1e-12);
    mean += value(e, k) / MANY;
  }
  assert_true(fabs(mean - 1) < 4.5 / sqrt(MANY));
  peri_scope_close(s);
}

/* Integral of t^(a-1) e^-t / Gamma(a) from 0 to e^y, by Simpson's rule in u = log t. */
static double lower_gamma (double a, double y) {
  enum { STEPS = 20000 };
  double from = fmin(y, log(a)) - 60 / fmin(a, 6), h = (y - from) / STEPS, sum = 0;
  for (int i = 0; i <= STEPS; i++) {
    double u = from + i * h, weight = i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2;
    sum += weight * exp(a * u - exp(u) - lgamma(a));
  }
  return sum * h / 3;
}

/* A draw z keeps its cumulative probability F when a moves: d log z/da = -(dF/da) / (z f). */
static void test_gamma_grad (void **state) {
  static const double shapes[] = {0.2, 0.9, 1, 2.5, 17, 240};
  (void) state;
  peri_scope s = peri_scope_open();
  for (int i = 0; i < 6; i++)
    for (int q = -2; q <= 3; q++) {
      double a = shapes[i], y = log(a) + q * 0.9 / sqrt(fmax(a, 1)), h = 1e-4 * a;
      double slope = (lower_gamma(a + h, y) - lower_gamma(a - h, y)) / (2 * h);
      double want = -slope / exp(a * y - exp(y) - lgamma(a));
      double got = value(peri_gamma_grad(peri_number(a), peri_number(y)), 0);
      if (!(fabs(got - want) < 1e-5 * fabs(want)))
        fail_msg("a = %g, log z = %g: %g, want %g", a, y, got, want);
    }
  /* both sides of the change to the formula for large shapes */
  double low = value(peri_gamma_grad(peri_number(99999), peri_number(11.52)), 0);
  double high = value(peri_gamma_grad(peri_number(100001), peri_number(11.52)), 0);
  assert_true(fabs(high / low - 1) < 3e-4);
  assert_true(isnan(value(peri_gamma_grad(peri_number(-1), peri_number(0)), 0)));
  assert_true(isnan(value(peri_gamma_grad(peri_number(NAN), peri_number(0)), 0)));
  peri_scope_close(s);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_threads), cmocka_unit_test(test_neighbours),
    cmocka_unit_test(test_log_gamma), cmocka_unit_test(test_edges),
    cmocka_unit_test(test_refusals), cmocka_unit_test(test_logarithms),
    cmocka_unit_test(test_gamma_grad)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
