/* Convolution in float32 on sizes that are cut into pieces: oneDNN, the portable path and plain
   loops in double agree, through the derivatives too. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convolution/convolution.h"
#include "reference.h"

static double worst[2];

static void check_case (test_case *c, bool loops) {
  peri_tensor *y[2], *g[2][MAXLEAVES];
  for (int portable = 0; portable < 2; portable++) {
    peri__conv_portable_only(portable);
    y[portable] = run_case(c);
    expect_no_failure(c->name);
    peri_rng r = peri_rng_seed(3, NULL);
    peri_grad(y[portable], peri_rng_normal(&r, peri_shape_of(y[portable])), c->nleaves, c->leaf, 0,
              g[portable]);
    expect_no_failure(c->name);
    if (!loops) continue;
    double *want = reference_conv(c, y[portable]), error = relative_error(y[portable], want);
    free(want);
    if (error > worst[portable]) worst[portable] = error;
    if (!(error <= 1e-5))
      fail_msg("%s, case '%s': %s off by %.3g", peri_ops[c->op].name, c->name,
               portable ? "the portable path is" : "oneDNN is", error);
  }
  peri__conv_portable_only(false);
  for (int i = -1; i < c->nleaves; i++) {
    const peri_tensor *a = i < 0 ? y[0] : g[0][i], *b = i < 0 ? y[1] : g[1][i];
    double *want = calloc((size_t) (b->count + 1), sizeof *want);
    for (int64_t k = 0; k < b->count; k++) want[k] = value(b, k);
    double error = relative_error(a, want);
    free(want);
    if (!(error <= 1e-5))
      fail_msg("%s, case '%s', %s %d: the paths differ by %.3g", peri_ops[c->op].name, c->name,
               i < 0 ? "result" : "gradient", i + 1, error);
  }
}

/* The loops are slow: they look at one lie of each geometry, the paths at two or three. */
static void test_paths (peri_opcode op) {
  test_case c;
  if (op != PERI_OP_conv && op != PERI_OP_conv_transpose && op != PERI_OP_conv_weight) return;
  for (int number = 0; ; number++) {
    peri_scope scope = peri_scope_open();
    bool more = make_case(op, 0, number, LARGE_SIZES, &c);
    if (more && (number % 5 == 0 || number % 3 == 0)) check_case(&c, number % 5 == 0);
    peri_scope_close(scope);
    if (!more) break;
  }
}

int main (void) {
  int failed = run_rows("paths", test_paths);
  printf("from plain loops: oneDNN %.1e, portable %.1e\n", worst[0], worst[1]);
  return failed != 0;
}
