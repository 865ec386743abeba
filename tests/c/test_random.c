/* Philox against its published answers, the distributions at fixed seeds, and the laws of streams:
   what a draw depends on and what it does not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "philox.h"

enum { MANY = 200000 };

/* --- the block function: kat_vectors of Random123 1.14, philox4x32-10 --- */

static void test_known_answers (void **state) {
  static const struct { uint32_t counter[4], key[2], answer[4]; } vectors[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  (void) state;
  for (int i = 0; i < 3; i++) {
    uint32_t out[4];
    peri__philox(vectors[i].counter, vectors[i].key, out);
    assert_memory_equal(out, vectors[i].answer, sizeof out);
  }
}

/* A draw's numbers are words of the blocks that the reference computes: all first words of a group
   of 128 blocks before all second ones. */
static void test_draws_are_blocks (void **state) {
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_rng r = peri_rng_at(&(peri_rng) {.key = 0x0123456789abcdef}, 0xfedcba9876543210);
  /* the carry into the second word is crossed */
  r.position = ((uint64_t) 7 << 32) - 256;
  peri_tensor *x = peri_rng_uniform(&r, peri_shape(1, (int64_t) 2048));
  for (int64_t k = 0; k < x->count; k++) {
    uint64_t at = ((uint64_t) 7 << 32) - 256 + (uint64_t) (k / 512 * 128 + k % 128);
    uint32_t counter[] = {(uint32_t) at, (uint32_t) (at >> 32), 0x76543210, 0xfedcba98}, out[4];
    peri__philox(counter, (uint32_t[]) {0x89abcdef, 0x01234567}, out);
    double want = out[k % 512 / 128] * 0x1p-32;
    assert_true(fabs(value(x, k) - want) < 0x1p-31);
  }
  peri_scope_close(scope);
}

/* --- distributions --- */

static int ascending (const void *a, const void *b) {
  double x = *(const double *) a, y = *(const double *) b;
  return (x > y) - (x < y);
}

static double uniform_cdf (double x) { return x; }
static double normal_cdf (double x) { return 0.5 * erfc(-x * sqrt(0.5)); }

/* Kolmogorov-Smirnov: sqrt(n) D is above 2.3 once in 20,000 samples of the distribution. */
static void expect_distribution (peri_tensor *x, double (*cdf) (double)) {
  double *sorted = malloc((size_t) x->count * sizeof *sorted), worst = 0, n = (double) x->count;
  for (int64_t k = 0; k < x->count; k++) sorted[k] = value(x, k);
  qsort(sorted, (size_t) x->count, sizeof *sorted, ascending);
  for (int64_t k = 0; k < x->count; k++) {
    double f = cdf(sorted[k]);
    worst = fmax(worst, fmax(f - (double) k / n, (double) (k + 1) / n - f));
  }
  free(sorted);
  if (!(worst * sqrt(n) < 2.3)) fail_msg("Kolmogorov-Smirnov statistic %.3g", worst * sqrt(n));
}

/* Chi-square of counts that should be equal; Wilson & Hilferty's bound is passed once in 10,000. */
static void expect_even (const int64_t *count, int n, int64_t total) {
  double mean = (double) total / n, sum = 0, df = n - 1, v = 2 / (9 * df);
  for (int i = 0; i < n; i++) sum += ((double) count[i] - mean) * ((double) count[i] - mean) / mean;
  double bound = df * pow(1 - v + 3.72 * sqrt(v), 3);
  if (!(sum < bound))
    fail_msg("chi-square %.4g for %g degrees of freedom, bound %.4g", sum, df, bound);
}

static void test_uniform (void **state) {
  (void) state;
  for (uint64_t seed = 0; seed < 6; seed++) {
    peri_scope s = peri_scope_open();
    peri_rng r = peri_rng_seed(seed, NULL);
    peri_tensor *x = peri_rng_uniform(&r, dims(1, MANY));
    int64_t low[256] = {0}, pair[256] = {0};
    for (int64_t k = 0; k < MANY; k++) {
      double v = value(x, k);
      assert_true(v >= 0 && v < 1);
      /* the last bits are as random as the first */
      low[(uint64_t) (v * 0x1p53) & 255]++;
      if (k % 2) pair[(int) (v * 16) * 16 + (int) (value(x, k - 1) * 16)]++;
    }
    expect_distribution(x, uniform_cdf);
    expect_even(low, 256, MANY);
    expect_even(pair, 256, MANY / 2);
    peri_scope_close(s);
  }
}

static void test_normal (void **state) {
  (void) state;
  for (uint64_t seed = 0; seed < 6; seed++) {
    peri_scope s = peri_scope_open();
    peri_rng r = peri_rng_seed(seed, NULL);
    peri_tensor *x = peri_rng_normal(&r, dims(1, MANY));
    double moment[5] = {0};
    for (int64_t k = 0; k < MANY; k++)
      for (int p = 1; p < 5; p++) moment[p] += pow(value(x, k), p) / MANY;
    /* standard deviations of each moment */
    double unit = 4.5 / sqrt(MANY);
    assert_true(fabs(moment[1]) < unit && fabs(moment[2] - 1) < unit * sqrt(2));
    assert_true(fabs(moment[3]) < unit * sqrt(15) && fabs(moment[4] - 3) < unit * sqrt(96));
    expect_distribution(x, normal_cdf);
    peri_scope_close(s);
  }
}

/* Numbers at any distance up to 600 are uncorrelated: both halves of Box and Muller's pair are
   used. */
static void test_uncorrelated (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_rng r = peri_rng_seed(11, NULL);
  const peri_real *x = peri_rng_normal(&r, dims(1, MANY))->data;
  for (int lag = 1; lag < 600; lag++) {
    double sum = 0, square = 0;
    for (int64_t k = 0; k + lag < MANY; k++) {
      sum += (double) (x[k] * x[k + lag]);
      square += (double) (x[k] * x[k] * x[k + lag] * x[k + lag]) - 1;
    }
    if (fabs(sum) > 5 * sqrt(MANY)) fail_msg("correlation at distance %d", lag);
    if (fabs(square) > 5 * sqrt(8.0 * MANY)) fail_msg("correlation of squares at distance %d", lag);
  }
  peri_scope_close(s);
}

static void test_integers (void **state) {
  static const int ranges[][2] = {{1, 10}, {-3, 3}, {0, 0}, {5, 260}};
  (void) state;
  for (int i = 0; i < 4; i++) {
    peri_scope s = peri_scope_open();
    peri_rng r = peri_rng_seed(21, NULL);
    int low = ranges[i][0], n = ranges[i][1] - low + 1;
    int64_t count[256] = {0};
    peri_tensor *x = peri_rng_integers(&r, dims(2, MANY / 100, 100), low, ranges[i][1]);
    assert_int_equal(x->dtype, PERI_INDEX);
    for (int64_t k = 0; k < x->count; k++) {
      int v = (int) value(x, k) - low;
      assert_true(v >= 0 && v < n);
      count[v]++;
    }
    if (n > 1) expect_even(count, n, x->count);
    peri_scope_close(s);
  }
  peri_rng r = peri_rng_seed(1, NULL);
  assert_null(peri_rng_integers(&r, dims(1, 3), 5, 4));
  expect_failure(PERI_E_ARGUMENT, "5..4", NULL);
  assert_null(peri_rng_integers(&r, dims(1, 3), 0, (int64_t) 1 << 40));
  expect_failure(PERI_E_ARGUMENT, "1099511627776", NULL);
}

/* Number of a permutation of 1..n among all n! */
static int rank_of (const peri_tensor *x) {
  int rank = 0;
  for (int64_t i = 0; i < x->count; i++) {
    int smaller = 0;
    for (int64_t k = i + 1; k < x->count; k++) smaller += value(x, k) < value(x, i);
    rank = rank * (int) (x->count - i) + smaller;
  }
  return rank;
}

static void test_permutation (void **state) {
  int64_t count[120] = {0};
  (void) state;
  peri_rng r = peri_rng_seed(31, NULL);
  for (int i = 0; i < 60000; i++) {
    peri_scope s = peri_scope_open();
    count[rank_of(peri_rng_permutation(&r, 5))]++;
    peri_scope_close(s);
  }
  expect_even(count, 120, 60000);
  peri_scope s = peri_scope_open();
  static char seen[10001];
  peri_tensor *x = peri_rng_permutation(&r, 10000);
  for (int64_t k = 0; k < x->count; k++) {
    int v = (int) value(x, k);
    assert_true(v >= 1 && v <= 10000 && !seen[v]);
    seen[v] = 1;
  }
  assert_int_equal(peri_rng_permutation(&r, 0)->count, 0);
  assert_null(peri_rng_permutation(&r, -1));
  expect_failure(PERI_E_ARGUMENT, "-1", NULL);
  peri_scope_close(s);
}

static void test_bernoulli (void **state) {
  static const double p[] = {0, 0.1, 0.5, 0.9, 1};
  (void) state;
  peri_scope s = peri_scope_open();
  peri_rng r = peri_rng_seed(41, NULL);
  peri_tensor *prob = peri_expand(peri_copy_of(PERI_REAL, dims(1, 5), p), dims(2, MANY, 5));
  peri_tensor *x = peri_rng_bernoulli(&r, prob);
  double hits[5] = {0};
  assert_int_equal(x->dtype, PERI_REAL);
  for (int64_t k = 0; k < x->count; k++) {
    assert_true(value(x, k) == 0 || value(x, k) == 1);
    hits[k % 5] += value(x, k);
  }
  for (int i = 0; i < 5; i++)
    assert_true(fabs(hits[i] - MANY * p[i]) <= 4.5 * sqrt(MANY * p[i] * (1 - p[i])));
  peri_scope_close(s);
}

/* --- streams --- */

typedef peri_tensor *draw (peri_rng *r, peri_dims shape);
static draw *const draws[] = {peri_rng_uniform, peri_rng_normal};

static void expect_equal (const peri_tensor *x, int64_t from, const peri_tensor *y, int64_t n) {
  for (int64_t k = 0; k < n; k++) assert_true(value(x, from + k) == value(y, k));
}

static bool any_equal (const peri_tensor *x, const peri_tensor *y) {
  for (int64_t i = 0; i < x->count; i++)
    for (int64_t k = 0; k < y->count; k++)
      if (value(x, i) == value(y, k)) return true;
  return false;
}

/* The law of draws.  The first n numbers of a longer draw are the draw of n.  A draw moves its
   stream by whole groups of 512 numbers, so two draws of n are one of 2n when n is a multiple of
   512, and share no number otherwise. */
static void test_prefix_and_groups (void **state) {
  (void) state;
  for (int d = 0; d < 2; d++)
    for (int n = 1; n < 3000; n = n * 2 + 1) {
      peri_scope s = peri_scope_open();
      peri_rng r = peri_rng_seed(51, NULL), copy = r, fresh = r;
      peri_tensor *longer = draws[d](&r, dims(2, 3, 4096)), *first = draws[d](&copy, dims(1, n));
      expect_equal(longer, 0, first, n);
      peri_tensor *second = draws[d](&copy, dims(1, n));
      expect_equal(longer, (n + 511) / 512 * 512, second, n);
      if (n < 64) assert_false(any_equal(first, second));
      draws[d](&fresh, dims(1, 1024));
      expect_equal(longer, 1024, draws[d](&fresh, dims(2, 2, 512)), 1024);
      peri_scope_close(s);
    }
}

/* The state is four numbers: a copy goes on as the original does. */
static void test_copy_resumes (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_rng r = peri_rng_seed(61, NULL);
  peri_rng_normal(&r, dims(1, 1000));
  peri_rng_next(&r);
  peri_rng copy = r;
  for (int i = 0; i < 5; i++) {
    assert_true(peri_rng_next(&r) == peri_rng_next(&copy));
    expect_equal(peri_rng_uniform(&r, dims(1, 77)), 0, peri_rng_uniform(&copy, dims(1, 77)), 77);
    expect_equal(peri_rng_permutation(&r, 20), 0, peri_rng_permutation(&copy, 20), 20);
  }
  peri_scope_close(s);
}

/* A fork depends on the parent's key and the name alone: not on what was drawn or forked before. */
static void test_forks (void **state) {
  static const char *const names[] = {"data", "init", "a", "b", "ab", "ba", "", "noise", "data2"};
  enum { NAMES = sizeof names / sizeof names[0] };
  (void) state;
  peri_scope s = peri_scope_open();
  peri_rng r = peri_rng_seed(71, NULL), used = r;
  peri_rng_normal(&used, dims(1, 5000));
  peri_rng_fork(&used, "another");
  peri_tensor *x[2 * NAMES];
  for (int i = 0; i < NAMES; i++) {
    peri_rng a = peri_rng_fork(&r, names[i]), b = peri_rng_fork(&used, names[i]);
    x[i] = peri_rng_uniform(&a, dims(1, 300));
    expect_equal(peri_rng_uniform(&b, dims(1, 300)), 0, x[i], 300);
    peri_rng child = peri_rng_fork(&a, "data");
    x[NAMES + i] = peri_rng_uniform(&child, dims(1, 300));
  }
  peri_rng again = peri_rng_seed(71, NULL);
  expect_equal(peri_rng_uniform(&again, dims(1, 300)), 0, peri_rng_uniform(&r, dims(1, 300)), 300);
  for (int i = 0; i < 2 * NAMES; i++)
    for (int k = 0; k < i; k++) {
      double c = 0;
      for (int64_t j = 0; j < 300; j++) c += (value(x[i], j) - 0.5) * (value(x[k], j) - 0.5) * 12;
      assert_true(fabs(c) < 5 * sqrt(300));
      assert_false(any_equal(x[i], x[k]));
    }
  peri_scope_close(s);
}

/* Streams of neighbouring seeds, as sweeps use them, are as independent as any. */
static void test_neighbouring_seeds (void **state) {
  enum { SEEDS = 400, EACH = 512 };
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x[SEEDS], *all;
  double c = 0;
  for (int i = 0; i < SEEDS; i++) {
    peri_rng r = peri_rng_seed((uint64_t) i, NULL);
    x[i] = peri_rng_uniform(&r, dims(1, EACH));
    for (int64_t k = 0; i > 0 && k < EACH; k++)
      c += (value(x[i], k) - 0.5) * (value(x[i - 1], k) - 0.5) * 12;
  }
  assert_true(fabs(c) < 4.5 * sqrt(SEEDS * EACH));
  all = peri_concat(SEEDS, x, 0);
  expect_distribution(all, uniform_cdf);
  /* the first of each */
  expect_distribution(peri_slice(all, 0, 0, SEEDS * EACH, EACH), uniform_cdf);
  peri_scope_close(s);
}

/* A stream that draws at another time of the shared clock starts again there, as if nothing had
   been drawn before. */
static void test_clock (void **state) {
  uint64_t clock = 7;
  (void) state;
  peri_scope s = peri_scope_open();
  peri_rng r = peri_rng_seed(81, &clock), f = peri_rng_fork(&r, "x");
  peri_tensor *a = peri_rng_normal(&r, dims(1, 100)), *b = peri_rng_normal(&f, dims(1, 100));
  peri_tensor *later = peri_rng_normal(&r, dims(1, 100));
  assert_false(any_equal(a, later));
  clock = 8;
  assert_false(any_equal(a, peri_rng_normal(&r, dims(1, 100))));
  assert_false(any_equal(b, peri_rng_normal(&f, dims(1, 100))));
  clock = 7;
  expect_equal(peri_rng_normal(&r, dims(1, 100)), 0, a, 100);
  expect_equal(peri_rng_normal(&f, dims(1, 100)), 0, b, 100);
  expect_equal(peri_rng_normal(&r, dims(1, 100)), 0, later, 100);
  peri_rng pinned = peri_rng_at(&r, 7);
  clock = 12345;
  expect_equal(peri_rng_normal(&pinned, dims(1, 100)), 0, a, 100);
  peri_scope_close(s);
}

static void test_threads (void **state) {
  static const int counts[] = {1, 2, 3, 5};
  (void) state;
  int threads = peri_threads();
  peri_scope s = peri_scope_open();
  peri_tensor *first[2] = {NULL};
  for (int t = 0; t < 4; t++)
    for (int d = 0; d < 2; d++) {
      peri_set_threads(counts[t]);
      peri_rng r = peri_rng_seed(91, NULL);
      peri_tensor *x = draws[d](&r, dims(2, 701, 500));
      if (t == 0) first[d] = x;
      assert_memory_equal(x->data, first[d]->data, x->storage->bytes);
    }
  peri_set_threads(threads);
  peri_scope_close(s);
}

static void test_empty_draws (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_rng r = peri_rng_seed(5, NULL), before = r;
  assert_int_equal(peri_rng_normal(&r, dims(2, 0, 5))->count, 0);
  assert_int_equal(peri_rng_uniform(&r, dims(0))->ndim, 0);
  expect_equal(peri_rng_uniform(&before, dims(1, 1)), 0,
               peri_rng_uniform(&(peri_rng) {.key = 5}, dims(0)), 1);
  assert_null(peri_rng_bernoulli(&r, NULL));
  assert_int_equal(peri_error(), PERI_OK);
  peri_scope_close(s);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_known_answers), cmocka_unit_test(test_draws_are_blocks),
    cmocka_unit_test(test_uniform), cmocka_unit_test(test_normal),
    cmocka_unit_test(test_uncorrelated), cmocka_unit_test(test_integers),
    cmocka_unit_test(test_permutation), cmocka_unit_test(test_bernoulli),
    cmocka_unit_test(test_prefix_and_groups), cmocka_unit_test(test_copy_resumes),
    cmocka_unit_test(test_forks), cmocka_unit_test(test_neighbouring_seeds),
    cmocka_unit_test(test_clock), cmocka_unit_test(test_threads),
    cmocka_unit_test(test_empty_draws)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
