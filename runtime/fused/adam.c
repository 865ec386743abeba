/* Adam, AdamW, AMSGrad and optimistic Adam in one pass: 7 numbers of memory traffic per parameter,
   2 more for each of the last two. */

#include <math.h>

#include "fused/update.h"
#include "kernel/dispatch.h"

typedef struct {
  peri_real b1, c1, b2, c2, scale;
  double lr, lift, first;       /* lr lift / first: lr with the bias correction of m */
  peri_real root;               /* the bias correction of sqrt(v) */
  peri_real eps;
} numbers;

/* Which lists there are is constant where this is inlined, so each loop is straight. */
PERI__BODY adam_any (const numbers *a, const peri__span *s, bool amsgrad, bool optimistic) {
  const peri_real b1 = a->b1, c1 = a->c1, b2 = a->b2, c2 = a->c2, scale = a->scale;
  const double lr = a->lr * s->rate;
  const peri_real keep = (peri_real) (1 - lr * s->decay), root = a->root, eps = a->eps;
  const peri_real step = (peri_real) (lr * a->lift / a->first);
  peri_real *restrict p = s->p, *restrict m = s->s[0], *restrict v = s->s[1];
  peri_real *restrict top = s->s[2], *restrict last = s->s[3];
  const peri_real *restrict g = s->g;
  for (int64_t i = 0; i < s->n; i++) {
    peri_real d = g[i] * scale;
    peri_real mi = b1 * m[i] + c1 * d;
    peri_real vi = b2 * v[i] + c2 * (d * d);
    m[i] = mi;
    v[i] = vi;
    if (amsgrad) {
      vi = top[i] > vi ? top[i] : vi;
      top[i] = vi;
    }
    if (optimistic) {
      peri_real q = mi / (peri__root(vi) * root + eps);
      p[i] = keep * p[i] - step * (2 * q) + last[i];
      last[i] = step * q;
    } else {
      p[i] = keep * p[i] - step * mi / (peri__root(vi) * root + eps);
    }
  }
}

PERI__BODY adam_body (const numbers *a, const peri__span *s) {
  if (s->s[2] && s->s[3]) adam_any(a, s, true, true);
  else if (s->s[2]) adam_any(a, s, true, false);
  else if (s->s[3]) adam_any(a, s, false, true);
  else adam_any(a, s, false, false);
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
                            peri_tensor *const *top, peri_tensor *const *last,
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
    .scale = (peri_real) o->scale, .lr = o->lr, .lift = o->eps_hat ? sqrt(second) : 1,
    .first = first,
    .root = (peri_real) (o->eps_hat ? 1 : 1 / sqrt(second)), .eps = (peri_real) o->eps
  };
  peri__update u = {
    .name = "adam", .n = n, .plabel = "parameter", .p = p, .glabel = "gradient", .g = g,
    .slabel = {"m", "v", "top", "last"}, .s = {m, v, top, last}, .rates = o->rates,
    .decays = o->decays, .decay = o->decay, .loop = loop, .numbers = &a
  };
  return peri__update_run(&u);
}
