/* Every allocation of every row fails once, forward and in gradients of orders 1 and 2: each
   failure is reported as one of memory, nothing leaks, and afterwards the same call gives the same
   bytes. */
#include <stdio.h>
#include <string.h>

#include "harness.h"

enum { FAR = 100000 };          /* no case allocates that often */

static int64_t failures;

/* Forward, gradient, gradient of its projection.  The sum of all that came out goes to *check. */
static bool run_all (test_case *c, double *check) {
  peri_tensor *g[MAXLEAVES], *gg[MAXLEAVES], *s = NULL;
  *check = 0;
  peri_tensor *y = run_case(c);
  if (!y) return false;
  for (int64_t k = 0; k < y->count; k++) *check += value(y, k) * (double) (k % 7 + 1);
  if (!has_derivative(c->op) || c->nleaves == 0) return true;
  peri_tensor *seed = peri_full(PERI_REAL, peri_shape_of(y), 0.5);
  if (seed && peri_grad(y, seed, c->nleaves, c->leaf, PERI_CREATE_GRAPH, g)) {
    for (int i = 0; i < c->nleaves; i++)
      if (g[i]) fail_msg("%s: a gradient is left after a failure", peri_ops[c->op].name);
    return false;
  }
  for (int i = 0; seed && i < c->nleaves; i++) {
    peri_tensor *term = peri_sum(peri_square(g[i]), dims(0), false);
    s = i ? peri_add(s, term) : term;
  }
  if (!s) return false;
  *check += value(s, 0);
  if (!peri_requires_grad(s)) return true;
  if (peri_grad(s, NULL, c->nleaves, c->leaf, 0, gg)) return false;
  for (int i = 0; i < c->nleaves; i++)
    for (int64_t k = 0; k < gg[i]->count; k++) *check += value(gg[i], k) * (double) (k % 5 + 1);
  return true;
}

static double run_unharmed (test_case *c) {
  double check;
  peri_scope scope = peri_scope_open();
  bool fine = run_all(c, &check);
  if (!fine) fail_msg("%s, case '%s': %s", peri_ops[c->op].name, c->name, peri_message());
  peri_scope_close(scope);
  return check;
}

static void fail_each (test_case *c) {
  const char *row = peri_ops[c->op].name;
  double check, want = run_unharmed(c);
  for (int64_t n = 1; n < FAR; n++) {
    int64_t objects = peri_memory_now().objects;
    size_t live = peri_memory_now().live;
    peri_scope scope = peri_scope_open();
    peri_fail_allocation(n);
    bool fine = run_all(c, &check);
    peri_fail_allocation(0);
    peri_status status = peri_error();
    if (fine && status)
      fail_msg("%s, case '%s', allocation %d: a result beside the failure '%s'", row,
               c->name, (int) n, peri_message());
    if (!fine && status != PERI_E_MEMORY)
      fail_msg("%s, case '%s', allocation %d: the failure is reported as '%s': %s", row, c->name,
               (int) n, peri_status_word(status), peri_message());
    peri_clear();
    peri_scope_close(scope);
    if (peri_memory_now().objects != objects || peri_memory_now().live != live)
      fail_msg("%s, case '%s', allocation %d: %d objects and %d bytes leaked", row,
               c->name, (int) n, (int) (peri_memory_now().objects - objects),
               (int) (peri_memory_now().live - live));
    if (fine) {
      if (check != want) fail_msg("%s, case '%s': %.17g, not %.17g", row, c->name, check, want);
      break;
    }
    failures++;
  }
  check = run_unharmed(c);
  if (check != want)
    fail_msg("%s, case '%s': %.17g after failures, %.17g before", row, c->name, check, want);
}

static void test_allocations (peri_opcode op) {
  test_case c;
  int style = find_style(op);
  for (int number = 0; ; number++) {
    peri_scope scope = peri_scope_open();
    bool more = make_case(op, style, number, SMALL_SIZES, &c);
    if (more) fail_each(&c);
    peri_scope_close(scope);
    if (!more) break;
  }
}

/* --- what is not a row --- */

static peri_tensor *make_rng_tensors (void) {
  peri_rng r = peri_rng_seed(1, NULL);
  peri_tensor *u = peri_rng_uniform(&r, dims(2, 3, 4)), *z = peri_rng_normal(&r, dims(1, 5));
  peri_tensor *n = peri_rng_integers(&r, dims(1, 5), 1, 6), *p = peri_rng_permutation(&r, 7);
  peri_tensor *b = peri_rng_bernoulli(&r, u);
  return u && z && n && p ? b : NULL;
}

static peri_tensor *make_others (void) {
  const double data[] = {1, 2, 3, 4, 5, 6};
  peri_tensor *x = peri_copy_of(PERI_REAL, dims(2, 2, 3), data), *y = peri_number(2);
  peri_tensor *z = peri_full(PERI_INDEX, dims(1, 3), 1), *e = peri_empty(PERI_BYTE, dims(1, 9));
  return x && y && z ? e : NULL;
}

/* x is its own square transposed: the copy in between is one that can fail. */
static peri_tensor *assign_own_view (void) {
  const double data[] = {1, 2, 3, 4};
  peri_tensor *x = peri_copy_of(PERI_REAL, dims(2, 2, 2), data);
  peri_tensor *t = peri_transpose(x, 0, 1);
  if (!t) return NULL;
  if (peri_assign(x, t)) {
    for (int k = 0; k < 4; k++) assert_true(value(x, k) == data[k]);
    return NULL;
  }
  assert_true(value(x, 1) == 3 && value(x, 2) == 2);
  return x;
}

static peri_tensor *make_leaf (void) {
  peri_tensor *x = peri_number(1);
  return !x || peri_require_grad(x, true) ? NULL : x;
}

static void test_makers (void **state) {
  peri_tensor *(*const make[]) (void) = {make_rng_tensors, make_others, assign_own_view, make_leaf};
  (void) state;
  for (size_t i = 0; i < sizeof make / sizeof make[0]; i++) {
    bool made = false;
    for (int64_t n = 1; n < FAR && !made; n++) {
      int64_t objects = peri_memory_now().objects;
      peri_scope scope = peri_scope_open();
      peri_fail_allocation(n);
      made = make[i]() != NULL;
      peri_fail_allocation(0);
      if (made) expect_no_failure("a maker");
      else expect_failure(PERI_E_MEMORY, "out of memory", NULL);
      peri_scope_close(scope);
      assert_int_equal(peri_memory_now().objects, objects);
    }
    assert_true(made);
  }
}

int main (void) {
  const struct CMUnitTest others[] = {cmocka_unit_test(test_makers)};
  int failed = run_rows("allocation failures", test_allocations)
             + cmocka_run_group_tests_name("allocation failures of makers", others, NULL, NULL);
  printf("%lld allocations failed, one at a time\n", (long long) failures);
  return failed != 0;
}
