/* Adam and AdamW in one pass: 7 numbers of memory traffic per parameter. */

#include <math.h>

#include "fused/update.h"
#include "kernel/dispatch.h"

typedef struct {
  peri_real b1, c1, b2, c2, scale;
  peri_real keep;       /* 1 - lr decay */
  peri_real step;       /* lr with the bias correction of m */
  peri_real root;       /* the bias correction of sqrt(v) */
  peri_real eps;
} numbers;

PERI__BODY adam_body (const numbers *a, const peri__span *s) {
  const peri_real b1 = a->b1, c1 = a->c1, b2 = a->b2, c2 = a->c2, scale = a->scale;
  const peri_real keep = a->keep, step = a->step, root = a->root, eps = a->eps;
  peri_real *restrict p = s->p, *restrict m = s->s[0], *restrict v = s->s[1];
  const peri_real *restrict g = s->g;
  for (int64_t i = 0; i < s->n; i++) {
    peri_real d = g[i] * scale;
    peri_real mi = b1 * m[i] + c1 * d;
    peri_real vi = b2 * v[i] + c2 * (d * d);
    m[i] = mi;
    v[i] = vi;
    p[i] = keep * p[i] - step * mi / (peri__root(vi) * root + eps);
  }
}
PERI__DISPATCH(adam, (const numbers *a, const peri__span *s), (a, s))

static void loop (const void *a, const peri__span *s) {
  adam(a, s);
}

static peri_status check_options (const peri_adam *o, int64_t t) {
  peri_status bad = peri__check_option("adam", "lr", o->lr, 0, INFINITY, true);
  if (!bad) bad = peri__check_option("adam", "beta1", o->beta1, 0, 1, true);
  if (!bad) bad = peri__check_option("adam", "beta2", o->beta2, 0, 1, true);
  if (!bad) bad = peri__check_option("adam", "eps", o->eps, 0, INFINITY, true);
  if (!bad) bad = peri__check_option("adam", "decay", o->decay, 0, INFINITY, true);
  if (!bad) bad = peri__check_option("adam", "scale", o->scale, 0, INFINITY, true);
  if (!bad && t < 1)
    bad = peri_fail(PERI_E_ARGUMENT, "adam: step %lld; steps count from 1", (long long) t);
  return bad;
}

peri_status peri_adam_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                            peri_tensor *const *m, peri_tensor *const *v,
                            const peri_adam *options, int64_t t) {
  const peri_adam *o = options;
  peri_status bad = check_options(o, t);
  if (bad) return bad;
  /* expm1 keeps 1 - beta^t exact to the last bit for beta close to 1 */
  double first = o->beta1 > 0 ? -expm1((double) t * log(o->beta1)) : 1;
  double second = o->beta2 > 0 ? -expm1((double) t * log(o->beta2)) : 1;
  numbers a = {
    .b1 = (peri_real) o->beta1, .c1 = (peri_real) (1 - o->beta1),
    .b2 = (peri_real) o->beta2, .c2 = (peri_real) (1 - o->beta2),
    .scale = (peri_real) o->scale, .keep = (peri_real) (1 - o->lr * o->decay),
    .step = (peri_real) (o->lr * (o->eps_hat ? sqrt(second) : 1) / first),
    .root = (peri_real) (o->eps_hat ? 1 : 1 / sqrt(second)), .eps = (peri_real) o->eps
  };
  peri__update u = {
    .name = "adam", .n = n, .plabel = "parameter", .p = p, .glabel = "gradient", .g = g,
    .slabel = {"m", "v"}, .s = {m, v}, .loop = loop, .numbers = &a
  };
  return peri__update_run(&u);
}
