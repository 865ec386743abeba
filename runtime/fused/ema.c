/* Moving averages of parameters, and the exchange that puts them to use. */

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

peri_status peri_swap (int n, peri_tensor *const *x, peri_tensor *const *y) {
  peri__update run = {
    .name = "swap", .n = n, .plabel = "tensor", .p = x, .slabel = {"partner"}, .s = {y},
    .loop = swap_loop
  };
  return peri__update_run(&run);
}
