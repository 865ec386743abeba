/* Moving averages of parameters, the exchange that puts them to use, and sums of gradients. */

#include <math.h>

#include "fused/update.h"
#include "kernel/dispatch.h"

PERI__BODY average_body (const peri_real *rest, const peri__span *s) {
  const peri_real r = *rest;
  peri_real *restrict a = s->p;
  const peri_real *restrict x = s->g;
  for (int64_t i = 0; i < s->n; i++) a[i] += r * (x[i] - a[i]);
}
PERI__DISPATCH(average, (const peri_real *rest, const peri__span *s), (rest, s))

static void average_loop (const void *rest, const peri__span *s) {
  average(rest, s);
}

PERI__BODY add_body (const peri_real *factor, const peri__span *s) {
  const peri_real f = *factor;
  peri_real *restrict x = s->p;
  const peri_real *restrict y = s->g;
  for (int64_t i = 0; i < s->n; i++) x[i] += f * y[i];
}
PERI__DISPATCH(add, (const peri_real *factor, const peri__span *s), (factor, s))

static void add_loop (const void *factor, const peri__span *s) {
  add(factor, s);
}

static void swap_loop (const void *none, const peri__span *s) {
  peri_real *restrict x = s->p, *restrict y = s->s[0];
  (void) none;
  for (int64_t i = 0; i < s->n; i++) {
    peri_real t = x[i];
    x[i] = y[i];
    y[i] = t;
  }
}

peri_status peri_ema_update (int n, peri_tensor *const *a, peri_tensor *const *x, double decay) {
  peri_real rest = (peri_real) (1 - decay);
  peri__update run = {
    .name = "ema", .n = n, .plabel = "average", .p = a, .glabel = "parameter", .g = x,
    .loop = average_loop, .numbers = &rest
  };
  peri_status bad = peri__check_option("ema", "decay", decay, 0, 1, false);
  return bad ? bad : peri__update_run(&run);
}

peri_status peri_accumulate (int n, peri_tensor *const *x, peri_tensor *const *y, double factor) {
  peri_real f = (peri_real) factor;
  peri__update run = {
    .name = "accumulate", .n = n, .plabel = "sum", .p = x, .glabel = "tensor", .g = y,
    .loop = add_loop, .numbers = &f
  };
  if (!(fabs(factor) < INFINITY))
    return peri_fail(PERI_E_ARGUMENT, "accumulate: factor is %g; give a finite number", factor);
  return peri__update_run(&run);
}

peri_status peri_swap (int n, peri_tensor *const *x, peri_tensor *const *y) {
  peri__update run = {
    .name = "swap", .n = n, .plabel = "tensor", .p = x, .slabel = {"partner"}, .s = {y},
    .loop = swap_loop
  };
  return peri__update_run(&run);
}
