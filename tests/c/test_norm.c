/* Normalisations and their derivatives against plain loops on every case, small and large; what
   they leave invariant; what they refuse. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

static const bool single = sizeof(peri_real) == 4;

/* Groups of an (.., channels) tensor: which one an element belongs to, and of how many. */
typedef enum { LAYER, RMS, GROUP, BATCH } family;
typedef struct {
  family f;
  int64_t channels, rows, groups, lead;    /* rows between the batch and the channels */
} grouping;

static grouping grouping_of (const peri_tensor *x, family f, int64_t groups) {
  grouping k = {f, x->shape[x->ndim - 1], 1, groups, f == GROUP ? x->shape[0] : 1};
  for (int i = f == GROUP; i + 1 < x->ndim; i++) k.rows *= x->shape[i];
  return k;
}

static int64_t group_of (const grouping *k, int64_t at) {
  int64_t channel = at % k->channels, row = at / k->channels;
  if (k->f == BATCH) return channel;
  if (k->f != GROUP) return row;
  return row / k->rows * k->groups + channel / (k->channels / k->groups);
}

static int64_t count_of (const grouping *k) {
  if (k->f == BATCH) return k->channels;
  return k->f == GROUP ? k->lead * k->groups : k->rows;
}

/* Sums over groups of a[i], or of a[i] b[i], divided by their sizes. */
static void group_means (const grouping *k, int64_t n, const double *a, const double *b,
                         double *mean) {
  static double size[200000];
  int64_t groups = count_of(k);
  assert_true(groups <= 200000);
  for (int64_t i = 0; i < groups; i++) mean[i] = size[i] = 0;
  for (int64_t i = 0; i < n; i++) {
    mean[group_of(k, i)] += a[i] * (b ? b[i] : 1);
    size[group_of(k, i)]++;
  }
  for (int64_t i = 0; i < groups; i++) if (size[i] > 0) mean[i] /= size[i];
}

static double *numbers (int64_t n) {
  return test_calloc((size_t) n + 1, sizeof(double));
}

static double *values (const peri_tensor *x) {
  double *v = numbers(x->count);
  for (int64_t i = 0; i < x->count; i++) v[i] = value(x, i);
  return v;
}

/* h = (x - mean) / sqrt(variance + eps) in place; r takes the reciprocal roots by group. */
static void normalise (const grouping *k, int64_t n, double *x, double eps, double *r) {
  double *mean = numbers(count_of(k));
  group_means(k, n, x, NULL, mean);
  for (int64_t i = 0; k->f != RMS && i < n; i++) x[i] -= mean[group_of(k, i)];
  group_means(k, n, x, x, r);
  for (int64_t i = 0; i < count_of(k); i++) r[i] = 1 / sqrt(r[i] + eps);
  for (int64_t i = 0; i < n; i++) x[i] *= r[group_of(k, i)];
  test_free(mean);
}

/* ||got - want|| against ||want||. */
static void expect_near (const test_case *c, const char *what, int64_t n, const peri_real *got,
                         const double *want) {
  double distance = 0, norm = 0;
  for (int64_t i = 0; i < n; i++) {
    distance += ((double) got[i] - want[i]) * ((double) got[i] - want[i]);
    norm += want[i] * want[i];
  }
  if (!(sqrt(distance) <= (single ? 2e-6 : 1e-12) * fmax(1, sqrt(norm))))
    fail_msg("%s, case '%s': %s is off by %.3g of %.3g", peri_ops[c->op].name, c->name, what,
             sqrt(distance), sqrt(norm));
}

static double channel (const peri_tensor *w, int64_t i) {
  return value(w, w->ndim ? i % w->shape[0] : 0);
}

static void check_forward (test_case *c, peri_tensor *y, family f) {
  peri_tensor *x = c->in[0];
  grouping k = grouping_of(x, f, c->a.i[0]);
  double *want = values(x), *r = numbers(count_of(&k));
  normalise(&k, x->count, want, c->a.f[0], r);
  for (int64_t i = 0; i < x->count; i++)
    want[i] = want[i] * channel(c->in[1], i) + (f == RMS ? 0 : channel(c->in[2], i));
  expect_near(c, "y", x->count, y->data, want);
  test_free(want);
  test_free(r);
}

static void check_grad (test_case *c, peri_tensor *y) {
  peri_tensor *x = c->in[1], *w = c->in[2];
  grouping k = grouping_of(x, (family) c->a.mode, c->a.i[0]);
  int64_t n = x->count;
  double *g = values(c->in[0]), *h = values(x), *p = numbers(n), *r = numbers(count_of(&k));
  double *c1 = numbers(count_of(&k)), *c2 = numbers(count_of(&k));
  double *dw = numbers(k.channels), *db = numbers(k.channels);
  normalise(&k, n, h, c->a.f[0], r);
  for (int64_t i = 0; i < n; i++) {
    p[i] = g[i] * channel(w, i);
    dw[i % k.channels] += g[i] * h[i];
    db[i % k.channels] += g[i];
  }
  group_means(&k, n, p, NULL, c1);
  group_means(&k, n, p, h, c2);
  for (int64_t i = 0; i < n; i++) {
    int64_t at = group_of(&k, i);
    p[i] = r[at] * (p[i] - (k.f == RMS ? 0 : c1[at]) - h[i] * c2[at]);
  }
  expect_near(c, "dx", n, y->data, p);
  expect_near(c, "dw", k.channels, (peri_real *) y->data + n, dw);
  expect_near(c, "db", k.channels, (peri_real *) y->data + n + k.channels, db);
  double *all[] = {g, h, p, r, c1, c2, dw, db};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) test_free(all[i]);
}

static void check_moments (test_case *c, peri_tensor *y) {
  peri_tensor *x = c->in[0];
  grouping k = grouping_of(x, BATCH, 0);
  double *v = values(x), *want = numbers(2 * k.channels);
  group_means(&k, x->count, v, NULL, want);
  for (int64_t i = 0; i < x->count; i++) v[i] -= want[group_of(&k, i)];
  group_means(&k, x->count, v, v, want + k.channels);
  expect_near(c, "the moments", 2 * k.channels, y->data, want);
  test_free(v);
  test_free(want);
}

static void test_loops (peri_opcode op) {
  static const struct { peri_opcode op; family f; } rows[] = {
    {PERI_OP_layer_norm, LAYER}, {PERI_OP_rms_norm, RMS}, {PERI_OP_group_norm, GROUP},
    {PERI_OP_batch_norm, BATCH}, {PERI_OP_norm_grad, 0}, {PERI_OP_batch_moments, 0}};
  test_case c;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (int large = 0; rows[i].op == op && large < 2; large++)
      for (int number = 0; ; number++) {
        peri_scope scope = peri_scope_open();
        bool more = make_case(op, 0, number, large ? LARGE_SIZES : SMALL_SIZES, &c);
        peri_tensor *y = more ? run_case(&c) : NULL;
        expect_no_failure(c.name);
        if (more && op == PERI_OP_norm_grad) check_grad(&c, y);
        else if (more && op == PERI_OP_batch_moments) check_moments(&c, y);
        else if (more) check_forward(&c, y, rows[i].f);
        peri_scope_close(scope);
        if (!more) break;
      }
}

/* --- laws --- */

static double distance (peri_tensor *x, peri_tensor *y) {
  return value(peri_max(peri_abs(peri_sub(x, y)), dims(0), false), 0);
}

/* A normalisation does not see the scale and, but for rms, the place of x; an offset a million
   times the spread costs double no more than the digits that x itself lost. */
static void test_invariance (void **state) {
  (void) state;
  seed_numbers(1);
  peri_scope s = peri_scope_open();
  peri_tensor *one = peri_number(1), *none = peri_number(0);
  peri_tensor *x = random_tensor(dims(3, 7, 50, 12), PERI_IN_REAL, PACKED);
  peri_tensor *moved = peri_add(peri_mul(x, peri_number(8)), peri_number(single ? 64 : 1048576));
  const double tolerance = single ? 1e-4 : 1e-8, eps = 1e-12;
  assert_true(distance(peri_layer_norm(x, one, none, eps), peri_layer_norm(moved, one, none, eps))
              < tolerance);
  assert_true(distance(peri_group_norm(x, one, none, 3, eps),
                       peri_group_norm(moved, one, none, 3, eps)) < tolerance);
  assert_true(distance(peri_batch_norm(x, one, none, eps), peri_batch_norm(moved, one, none, eps))
              < tolerance);
  assert_true(distance(peri_rms_norm(x, one, eps),
                       peri_rms_norm(peri_mul(x, peri_number(8)), one, eps)) < tolerance);
  peri_scope_close(s);
}

/* One group at one position is a layer; a group a channel of one image is a batch. */
static void test_relations (void **state) {
  (void) state;
  seed_numbers(2);
  peri_scope s = peri_scope_open();
  peri_tensor *w = random_tensor(dims(1, 12), PERI_IN_REAL, PACKED);
  peri_tensor *b = random_tensor(dims(1, 12), PERI_IN_REAL, PACKED);
  peri_tensor *x = random_tensor(dims(2, 40, 12), PERI_IN_REAL, PACKED);
  peri_tensor *image = peri_reshape(x, dims(3, 1, 40, 12));
  const double tolerance = single ? 1e-5 : 1e-13;
  assert_true(distance(peri_group_norm(x, w, b, 1, 0.1), peri_layer_norm(x, w, b, 0.1))
              < tolerance);
  assert_true(distance(peri_group_norm(image, w, b, 12, 0.1), peri_batch_norm(image, w, b, 0.1))
              < tolerance);
  peri_scope_close(s);
}

static void test_not_a_number (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = random_tensor(dims(3, 2, 3, 4), PERI_IN_REAL, PACKED);
  *element(x, 0) = (peri_real) NAN;
  peri_tensor *y = peri_group_norm(x, peri_number(1), peri_number(0), 2, 1e-5);
  assert_true(isnan(value(y, 0)) && isnan(value(y, 5)) && !isnan(value(y, 2)));
  peri_scope_close(s);
}

static void test_refused (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = random_tensor(dims(3, 2, 3, 4), PERI_IN_REAL, PACKED), *one = peri_number(1);
  peri_tensor *w = random_tensor(dims(1, 3), PERI_IN_REAL, PACKED);
  assert_null(peri_layer_norm(x, w, one, 1e-5));
  expect_failure(PERI_E_SHAPE, "^layer_norm: w", "(3)", "(2, 3, 4)", "(4)", NULL);
  assert_null(peri_batch_norm(x, one, w, 1e-5));
  expect_failure(PERI_E_SHAPE, "^batch_norm: b", "(3)", "(2, 3, 4)", NULL);
  assert_null(peri_layer_norm(one, one, one, 1e-5));
  expect_failure(PERI_E_SHAPE, "^layer_norm: x", "()", "channels", NULL);
  assert_null(peri_group_norm(w, one, one, 1, 1e-5));
  expect_failure(PERI_E_SHAPE, "^group_norm: x", "(3)", "(batch, .., channels)", NULL);
  const int64_t groups[] = {3, 0, -1, 5, INT64_MIN};
  for (int i = 0; i < 5; i++) {
    assert_null(peri_group_norm(x, one, one, groups[i], 1e-5));
    expect_failure(PERI_E_SHAPE, "^group_norm: groups is", "(2, 3, 4)", "divide", NULL);
  }
  const double eps[] = {0, -1, NAN, INFINITY};
  for (int i = 0; i < 4; i++) {
    assert_null(peri_rms_norm(x, one, eps[i]));
    expect_failure(PERI_E_ARGUMENT, "^rms_norm: eps is", "> 0", NULL);
  }
  assert_null(peri_norm_grad(w, x, one, 0, 1, 1e-5));
  expect_failure(PERI_E_SHAPE, "^norm_grad: g", "(3)", "(2, 3, 4)", NULL);
  assert_null(peri_batch_moments(one));
  expect_failure(PERI_E_SHAPE, "^batch_moments: x", "()", NULL);
  assert_null(peri_batch_moments(peri_full(PERI_REAL, dims(2, 0, 3), 0)));
  expect_failure(PERI_E_SHAPE, "^batch_moments: x", "(0, 3)", NULL);
  peri_scope_close(s);
}

int main (void) {
  const struct CMUnitTest laws[] = {
    cmocka_unit_test(test_invariance), cmocka_unit_test(test_relations),
    cmocka_unit_test(test_not_a_number), cmocka_unit_test(test_refused)};
  return run_rows("plain loops", test_loops)
       + cmocka_run_group_tests_name("laws", laws, NULL, NULL);
}
