/* Derivatives of every row against difference quotients, orders 1 and 2, on each case of its kind:
   strided, broadcast, empty, size-1 axes, views in the graph.  One table drives it: a new row of an
   existing kind is tested with no edit here. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

/* Largest |difference| / max(1, |difference quotient|) allowed, in the Euclidean norm. */
static const double tolerance[] = {0, 1e-6, 1e-5};

enum { MAXNUMBERS = 4096 };

static struct { int cases; double worst[3]; } summary[PERI_NOPS];

/* --- the functions that are differentiated --- */

/* w . y, in double and in order */
static double project (const peri_tensor *y, const peri_tensor *w) {
  double sum = 0;
  for (int64_t k = 0; k < y->count; k++) sum += value(y, k) * value(w, k);
  return sum;
}

/* What is projected on: w weights the output, v the gradient by each leaf, and by w itself. */
typedef struct {
  test_case *c;
  peri_tensor *w, *v[MAXLEAVES + 1];
} problem;

/* order 1: w . y */
static double project_output (const problem *p) {
  bool was = peri_set_recording(false);
  double f = project(run_case(p->c), p->w);
  peri_set_recording(was);
  return f;
}

/* order 2: sum over leaves of v_i . d(w . y)/dx_i */
static double project_gradient (const problem *p) {
  peri_tensor *g[MAXLEAVES];
  double f = 0;
  peri_grad(run_case(p->c), p->w, p->c->nleaves, p->c->leaf, 0, g);
  expect_no_failure(p->c->name);
  for (int i = 0; i < p->c->nleaves; i++) f += project(g[i], p->v[i]);
  return f;
}

/* --- comparison --- */

/* (f(x + h) - f(x - h)) / 2h for every element of every x; returns how many there are. */
static int64_t difference (const problem *p, double (*f) (const problem *), int n,
                           peri_tensor *const *x, double *out) {
  int64_t at = 0;
  for (int i = 0; i < n; i++)
    for (int64_t k = 0; k < x[i]->count; k++) {
      peri_real *place = element(x[i], k), kept = *place;
      double h = 1e-5, side[2];
      for (int s = 0; s < 2; s++) {
        peri_scope scope = peri_scope_open();
        *place = kept + (s ? h : -h);
        side[s] = f(p);
        peri_scope_close(scope);
      }
      *place = kept;
      out[at++] = (side[1] - side[0]) / (2 * h);
    }
  return at;
}

static void compare (const test_case *c, int order, int n, peri_tensor *const *x,
                     peri_tensor *const *g, const double *quotient) {
  const char *row = peri_ops[c->op].name;
  double distance = 0, norm = 0;
  int64_t at = 0;
  for (int i = 0; i < n; i++) {
    char tx[PERI_SHAPETEXT], tg[PERI_SHAPETEXT];
    if (strcmp(peri_shape_text(x[i], tx), peri_shape_text(g[i], tg)) != 0)
      fail_msg("%s, case '%s', order %d: input %d has shape %s but its gradient %s", row, c->name,
               order, i + 1, tx, tg);
    for (int64_t k = 0; k < x[i]->count; k++, at++) {
      double d = value(g[i], k) - quotient[at];
      distance += d * d;
      norm += quotient[at] * quotient[at];
    }
  }
  double error = sqrt(distance) / fmax(1, sqrt(norm));
  if (!(error <= summary[c->op].worst[order])) summary[c->op].worst[order] = error;
  if (!(error <= tolerance[order]))
    fail_msg("%s, case '%s', order %d: the gradient differs from the difference quotient by %.3g "
             "(allowed: %.0e)", row, c->name, order, error, tolerance[order]);
}

static void check_first (problem *p) {
  static double quotient[MAXNUMBERS];
  test_case *c = p->c;
  peri_tensor *g[MAXLEAVES];
  peri_grad(run_case(c), p->w, c->nleaves, c->leaf, 0, g);
  expect_no_failure(c->name);
  difference(p, project_output, c->nleaves, c->leaf, quotient);
  compare(c, 1, c->nleaves, c->leaf, g, quotient);
}

/* The projected gradient is a function of the leaves and of w: by w too, since a derivative that
   treats the gradient that arrives as a constant would pass without. */
static void check_second (problem *p) {
  static double quotient[MAXNUMBERS];
  test_case *c = p->c;
  int n = c->nleaves;
  peri_tensor *g[MAXLEAVES], *x[MAXLEAVES + 1], *gg[MAXLEAVES + 1], *s = NULL;
  memcpy(x, c->leaf, sizeof c->leaf);
  x[n] = p->w;
  peri_require_grad(p->w, true);
  peri_grad(run_case(c), p->w, n, c->leaf, PERI_CREATE_GRAPH, g);
  expect_no_failure(c->name);
  for (int i = 0; i < n; i++) {
    peri_tensor *term = peri_sum(peri_mul(p->v[i], g[i]), dims(0), false);
    s = i ? peri_add(s, term) : term;
  }
  if (s && peri_requires_grad(s)) peri_grad(s, NULL, n + 1, x, 0, gg);
  else for (int i = 0; i <= n; i++) gg[i] = peri_full(PERI_REAL, peri_shape_of(x[i]), 0);
  expect_no_failure(c->name);
  difference(p, project_gradient, n + 1, x, quotient);
  compare(c, 2, n + 1, x, gg, quotient);
}

static void check_case (test_case *c) {
  problem p = {.c = c};
  int64_t numbers = 0;
  peri_tensor *y = run_case(c);
  if (!y)
    fail_msg("%s refuses case '%s': %s", peri_ops[c->op].name, c->name, peri_message());
  p.w = random_tensor(peri_shape_of(y), PERI_IN_REAL, PACKED);
  numbers = y->count;
  for (int i = 0; i < c->nleaves; i++) {
    p.v[i] = random_tensor(peri_shape_of(c->leaf[i]), PERI_IN_REAL, PACKED);
    numbers += c->leaf[i]->count;
  }
  assert_true(numbers <= MAXNUMBERS);
  check_first(&p);
  check_second(&p);
}

static void test_derivatives (peri_opcode op) {
  test_case c;
  if (!has_derivative(op)) return;
  int style = find_style(op);
  for (int number = 0; ; number++) {
    peri_scope scope = peri_scope_open();
    bool more = make_case(op, style, number, SMALL_SIZES, &c);
    if (more && c.nleaves > 0) {
      check_case(&c);
      summary[op].cases++;
    }
    peri_scope_close(scope);
    if (!more) break;
  }
  assert_true(summary[op].cases > 0);
}

int main (void) {
  int failed = run_rows("derivatives", test_derivatives), rows = 0, cases = 0;
  printf("\n%-16s %6s %12s %12s\n", "row", "cases", "order 1", "order 2");
  for (int op = 0; op < PERI_NOPS; op++) {
    if (!has_derivative((peri_opcode) op)) continue;
    printf("%-16s %6d %12.1e %12.1e\n", peri_ops[op].name, summary[op].cases, summary[op].worst[1],
           summary[op].worst[2]);
    rows++;
    cases += summary[op].cases;
  }
  printf("%d rows with a derivative of %d, %d cases, %d failed\n", rows, PERI_NOPS, cases, failed);
  return failed != 0;
}
