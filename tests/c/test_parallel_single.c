/* float32 as users run it: every row, forward and backward, on sizes that are split into chunks,
   gives the same bytes for any number of threads, and the same again when it is asked twice. */
#include <stdio.h>
#include <string.h>

#include "harness.h"

/* The bytes of a tensor in the order of its shape, chained. */
static uint64_t digest (uint64_t chain, peri_tensor *x) {
  const uint8_t *p = (x = peri_clone(x))->data;
  size_t n = x->storage->bytes;
  for (uint32_t word; n >= sizeof word; n -= sizeof word, p += sizeof word) {
    memcpy(&word, p, sizeof word);
    chain = (chain ^ word) * 0x100000001b3u;
    chain ^= chain >> 29;
  }
  for (; n > 0; n--) chain = (chain ^ *p++) * 0x100000001b3u;
  return chain;
}

typedef struct { uint64_t forward, first, second; } digests;

static digests run_digests (test_case *c) {
  peri_scope s = peri_scope_open();
  digests d = {1, 1, 1};
  peri_tensor *g[MAXLEAVES], *gg[MAXLEAVES], *sum = NULL, *y = run_case(c);
  expect_no_failure(c->name);
  d.forward = digest(1, y);
  if (has_derivative(c->op) && c->nleaves > 0) {
    peri_rng r = peri_rng_seed(3, NULL);
    peri_grad(y, peri_rng_normal(&r, peri_shape_of(y)), c->nleaves, c->leaf, PERI_CREATE_GRAPH, g);
    for (int i = 0; i < c->nleaves; i++) {
      peri_tensor *term = peri_sum(peri_square(g[i]), dims(0), false);
      sum = i ? peri_add(sum, term) : term;
    }
    expect_no_failure(c->name);
    for (int i = 0; i < c->nleaves; i++) d.first = digest(d.first, g[i]);
    if (peri_requires_grad(sum)) {
      peri_grad(sum, NULL, c->nleaves, c->leaf, 0, gg);
      expect_no_failure(c->name);
      for (int i = 0; i < c->nleaves; i++) d.second = digest(d.second, gg[i]);
    }
  }
  peri_scope_close(s);
  return d;
}

static void check_case (test_case *c) {
  static const int counts[] = {1, 2, 3, 5, 1};
  digests want = {0};
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    peri_set_threads(counts[i]);
    digests got = run_digests(c);
    if (i == 0) want = got;
    if (memcmp(&got, &want, sizeof got) != 0)
      fail_msg("%s, case '%s': other bytes with %d threads, %s", peri_ops[c->op].name, c->name,
               counts[i], got.forward != want.forward ? "forward"
                        : got.first != want.first ? "in the gradient" : "in the second gradient");
  }
}

/* Cases that differ in numbers only, as those of axes do, are taken every ninth. */
static void test_threads (peri_opcode op) {
  test_case c;
  int style = find_style(op), threads = peri_threads();
  for (int number = 0; ; number += number < 12 ? 1 : 9) {
    peri_scope scope = peri_scope_open();
    bool more = make_case(op, style, number, LARGE_SIZES, &c);
    if (more) check_case(&c);
    peri_scope_close(scope);
    if (!more) break;
  }
  peri_set_threads(threads);
}

int main (void) {
  return run_rows("threads", test_threads);
}
