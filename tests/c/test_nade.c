/* NADE against loops in O(D^2 H), its probabilities over all configurations, its draws; the Gibbs
   step against its formula and, as a chain, against the exact marginals of a small machine. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

static const bool single = sizeof(peri_real) == 4;

static double sigmoid (double x) {
  return 1 / (1 + exp(-x));
}

static double at2 (const peri_tensor *x, int64_t i, int64_t j) {
  return value(x, i * x->shape[1] + j);
}

/* Activation of hidden unit j when visible unit i is predicted, from the definition. */
static double activation (const peri_tensor *x, const peri_tensor *w, const peri_tensor *c,
                          int64_t sample, int64_t i, int64_t j) {
  double a = value(c, j);
  for (int64_t k = 0; k < i; k++) a += at2(x, sample, k) * at2(w, k, j);
  return a;
}

static void expect_near (const test_case *c, const char *what, int64_t n, const peri_real *got,
                         const double *want) {
  double distance = 0, norm = 0;
  for (int64_t i = 0; i < n; i++) {
    distance += ((double) got[i] - want[i]) * ((double) got[i] - want[i]);
    norm += want[i] * want[i];
  }
  if (!(sqrt(distance) <= (single ? 3e-6 : 1e-12) * fmax(1, sqrt(norm))))
    fail_msg("%s, case '%s': %s is off by %.3g of %.3g", peri_ops[c->op].name, c->name, what,
             sqrt(distance), sqrt(norm));
}

static double *numbers (int64_t n) {
  return test_calloc((size_t) n + 1, sizeof(double));
}

static void check_logits (test_case *c, peri_tensor *y) {
  peri_tensor *x = c->in[0], *w = c->in[1], *v = c->in[3];
  int64_t visible = w->shape[0], hidden = w->shape[1];
  double *want = numbers(x->count);
  for (int64_t s = 0; s < x->shape[0]; s++)
    for (int64_t i = 0; i < visible; i++) {
      double z = value(c->in[2], i);
      for (int64_t j = 0; j < hidden; j++)
        z += at2(v, i, j) * sigmoid(activation(x, w, c->in[4], s, i, j));
      want[s * visible + i] = z;
    }
  expect_near(c, "y", x->count, y->data, want);
  test_free(want);
}

/* Each logit's share of each derivative, one by one. */
static void check_grad (test_case *c, peri_tensor *y) {
  peri_tensor *g = c->in[0], *x = c->in[1], *w = c->in[2], *v = c->in[3];
  int64_t visible = w->shape[0], hidden = w->shape[1], by_x = c->a.keep ? x->count : 0;
  double *want = numbers(y->count), *dx = numbers(x->count), *dw = want + by_x, *dv = dw + w->count;
  double *db = dv + w->count, *dc = db + visible;
  for (int64_t s = 0; s < x->shape[0]; s++)
    for (int64_t i = 0; i < visible; i++) {
      db[i] += at2(g, s, i);
      for (int64_t j = 0; j < hidden; j++) {
        double h = sigmoid(activation(x, w, c->in[4], s, i, j));
        double da = at2(g, s, i) * at2(v, i, j) * h * (1 - h);
        dv[i * hidden + j] += at2(g, s, i) * h;
        dc[j] += da;
        for (int64_t k = 0; k < i; k++) {
          dw[k * hidden + j] += da * at2(x, s, k);
          dx[s * visible + k] += da * at2(w, k, j);
        }
      }
    }
  if (by_x) memcpy(want, dx, (size_t) by_x * sizeof *want);
  expect_near(c, "the derivatives", y->count, y->data, want);
  test_free(want);
  test_free(dx);
}

/* A draw is what its own logits say of the uniform numbers. */
static void check_draw (test_case *c, peri_tensor *x) {
  peri_tensor *z = peri_nade(x, c->in[1], c->in[2], c->in[3], c->in[4]);
  expect_no_failure(c->name);
  for (int64_t i = 0; i < x->count; i++) {
    double p = sigmoid(value(z, i)), u = value(c->in[0], i);
    if (fabs(p - u) > 1e-6) assert_true(value(x, i) == (u < p));
  }
}

static void check_gibbs (test_case *c, peri_tensor *h) {
  peri_tensor *a = peri_linear(c->in[0], c->in[1], c->in[2]);
  expect_no_failure(c->name);
  for (int64_t i = 0; i < h->count; i++) {
    double p = sigmoid(value(a, i)), u = value(c->in[3], i);
    if (fabs(p - u) > 1e-6) assert_true(value(h, i) == (u < p));
    else assert_true(value(h, i) == 0 || value(h, i) == 1);
  }
}

static void test_loops (peri_opcode op) {
  static const struct { peri_opcode op; void (*check) (test_case *c, peri_tensor *y); } rows[] = {
    {PERI_OP_nade, check_logits}, {PERI_OP_nade_grad, check_grad},
    {PERI_OP_nade_sample, check_draw}, {PERI_OP_gibbs, check_gibbs}};
  test_case c;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for (int large = 0; rows[i].op == op && large < 2; large++)
      for (int number = 0; ; number++) {
        peri_scope scope = peri_scope_open();
        bool more = make_case(op, 0, number, large ? LARGE_SIZES : SMALL_SIZES, &c);
        peri_tensor *y = more ? run_case(&c) : NULL;
        expect_no_failure(c.name);
        if (more) rows[i].check(&c, y);
        peri_scope_close(scope);
        if (!more) break;
      }
}

/* --- laws --- */

enum { BITS = 10, ALL = 1 << BITS };

typedef struct { peri_tensor *w, *b, *v, *c; } machine;

static machine make_machine (int visible, int hidden) {
  return (machine) {random_tensor(dims(2, visible, hidden), PERI_IN_REAL, PACKED),
                    random_tensor(dims(1, visible), PERI_IN_REAL, PACKED),
                    random_tensor(dims(2, visible, hidden), PERI_IN_REAL, PACKED),
                    random_tensor(dims(1, hidden), PERI_IN_REAL, PACKED)};
}

/* log P of every configuration of BITS units. */
static peri_tensor *log_probabilities (const machine *m) {
  peri_tensor *x = peri_full(PERI_REAL, dims(2, ALL, BITS), 0);
  for (int64_t k = 0; k < x->count; k++) *element(x, k) = (peri_real) (k / BITS >> k % BITS & 1);
  peri_tensor *loss = peri_bce_logits(peri_nade(x, m->w, m->b, m->v, m->c), x);
  return peri_neg(peri_sum(loss, dims(1, 1), false));
}

static void test_sums_to_one (void **state) {
  (void) state;
  seed_numbers(3);
  peri_scope s = peri_scope_open();
  machine m = make_machine(BITS, 7);
  double sum = value(peri_sum(peri_exp(log_probabilities(&m)), dims(0), false), 0);
  assert_true(fabs(sum - 1) < (single ? 1e-5 : 1e-12));
  peri_scope_close(s);
}

/* Pearson's chi-square of counts against probabilities; cells expected below 5 go together. */
static double chi_square (int n, const double *count, const double *p, double total, int *freedom) {
  double rest = 0, expected = 0, sum = 0;
  *freedom = -1;
  for (int i = 0; i < n; i++) {
    if (p[i] * total < 5) {
      rest += count[i];
      expected += p[i] * total;
      continue;
    }
    sum += (count[i] - p[i] * total) * (count[i] - p[i] * total) / (p[i] * total);
    ++*freedom;
  }
  if (expected > 0) {
    sum += (rest - expected) * (rest - expected) / expected;
    ++*freedom;
  }
  return sum;
}

/* Below the 0.999 quantile (Wilson & Hilferty 1931). */
static void expect_chi_square (double x, int freedom) {
  double k = 2.0 / (9 * freedom), limit = freedom * pow(1 - k + 3.09 * sqrt(k), 3);
  if (!(x < limit)) fail_msg("chi-square %.1f on %d degrees; at most %.1f", x, freedom, limit);
}

static void test_draws (void **state) {
  enum { N = 60000 };
  (void) state;
  static double count[ALL], p[ALL];
  int freedom;
  seed_numbers(4);
  peri_scope s = peri_scope_open();
  machine m = make_machine(BITS, 5);
  peri_rng r = peri_rng_seed(5, NULL);
  peri_tensor *x = peri_nade_sample(peri_rng_uniform(&r, dims(2, N, BITS)), m.w, m.b, m.v, m.c);
  peri_tensor *logp = log_probabilities(&m);
  expect_no_failure("draws");
  memset(count, 0, sizeof count);
  for (int i = 0; i < N; i++) {
    int which = 0;
    for (int k = 0; k < BITS; k++) which |= (int) at2(x, i, k) << k;
    count[which]++;
  }
  for (int i = 0; i < ALL; i++) p[i] = exp(value(logp, i));
  double found = chi_square(ALL, count, p, N, &freedom);
  assert_true(freedom > 50);
  expect_chi_square(found, freedom);
  peri_scope_close(s);
}

/* Chains of block Gibbs steps forget where they began: the visible units of a restricted Boltzmann
   machine have p(v) ~ e^(v . b) product over j of (1 + e^(c_j + v . w_j)). */
static void test_chains (void **state) {
  enum { VISIBLE = 4, HIDDEN = 3, STATES = 1 << VISIBLE, CHAINS = 20000, STEPS = 60 };
  (void) state;
  double count[STATES] = {0}, p[STATES], total = 0;
  int freedom;
  seed_numbers(6);
  peri_scope s = peri_scope_open();
  peri_tensor *w = random_tensor(dims(2, VISIBLE, HIDDEN), PERI_IN_SMALL, PACKED);
  peri_tensor *b = random_tensor(dims(1, VISIBLE), PERI_IN_SMALL, PACKED);
  peri_tensor *c = random_tensor(dims(1, HIDDEN), PERI_IN_SMALL, PACKED);
  peri_tensor *v = peri_full(PERI_REAL, dims(2, CHAINS, VISIBLE), 1);
  peri_tensor *down = peri_transpose(w, 0, 1);
  peri_rng r = peri_rng_seed(7, NULL);
  for (int step = 0; step < STEPS; step++) {
    peri_tensor *h = peri_gibbs(v, w, c, peri_rng_uniform(&r, dims(2, CHAINS, HIDDEN)));
    v = peri_gibbs(h, down, b, peri_rng_uniform(&r, dims(2, CHAINS, VISIBLE)));
  }
  expect_no_failure("chains");
  for (int i = 0; i < STATES; i++) {
    double energy = 0, product = 1;
    for (int k = 0; k < VISIBLE; k++) energy += (i >> k & 1) * value(b, k);
    for (int j = 0; j < HIDDEN; j++) {
      double a = value(c, j);
      for (int k = 0; k < VISIBLE; k++) a += (i >> k & 1) * at2(w, k, j);
      product *= 1 + exp(a);
    }
    total += p[i] = exp(energy) * product;
  }
  for (int i = 0; i < STATES; i++) p[i] /= total;
  for (int i = 0; i < CHAINS; i++) {
    int which = 0;
    for (int k = 0; k < VISIBLE; k++) which |= (int) at2(v, i, k) << k;
    count[which]++;
  }
  double found = chi_square(STATES, count, p, CHAINS, &freedom);
  expect_chi_square(found, freedom);
  peri_scope_close(s);
}

static void test_refused (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = random_tensor(dims(2, 2, 5), PERI_IN_UNIT, PACKED), *one = peri_number(1);
  peri_tensor *w = random_tensor(dims(2, 5, 3), PERI_IN_REAL, PACKED);
  peri_tensor *b = random_tensor(dims(1, 5), PERI_IN_REAL, PACKED);
  peri_tensor *c = random_tensor(dims(1, 3), PERI_IN_REAL, PACKED), *v = peri_transpose(w, 0, 1);
  assert_null(peri_nade(w, w, b, w, c));
  expect_failure(PERI_E_SHAPE, "^nade: x", "(5, 3)", "want (batch, visible)", NULL);
  assert_null(peri_nade(b, w, b, w, c));
  expect_failure(PERI_E_SHAPE, "^nade: x", "(5)", "(5, 3)", NULL);
  assert_null(peri_nade(x, w, b, v, c));
  expect_failure(PERI_E_SHAPE, "^nade: w", "(5, 3)", "(3, 5)", NULL);
  assert_null(peri_nade(x, w, c, w, c));
  expect_failure(PERI_E_SHAPE, "^nade: w", "b (3)", "visible", NULL);
  assert_null(peri_nade_sample(x, w, b, w, b));
  expect_failure(PERI_E_SHAPE, "^nade_sample: w", "c (5)", "hidden", NULL);
  assert_null(peri_nade_grad(w, x, w, w, c, true));
  expect_failure(PERI_E_SHAPE, "^nade_grad: g", "(5, 3)", "(2, 5)", NULL);
  assert_null(peri_gibbs(x, w, b, x));
  expect_failure(PERI_E_SHAPE, "^gibbs: x", "(2, 5)", "b (5)", NULL);
  assert_null(peri_gibbs(one, w, c, x));
  expect_failure(PERI_E_SHAPE, "^gibbs: x", "()", "(5, 3)", NULL);
  assert_null(peri_gibbs(x, w, c, x));
  expect_failure(PERI_E_SHAPE, "^gibbs: u", "(2, 5)", "(2, 3)", NULL);
  peri_scope_close(s);
}

int main (void) {
  const struct CMUnitTest laws[] = {
    cmocka_unit_test(test_sums_to_one), cmocka_unit_test(test_draws), cmocka_unit_test(test_chains),
    cmocka_unit_test(test_refused)};
  return run_rows("loops", test_loops) + cmocka_run_group_tests_name("laws", laws, NULL, NULL);
}
