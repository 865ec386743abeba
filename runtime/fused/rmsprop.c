/* RMSProp, plain or centered, with or without momentum, in one pass. */

#include <math.h>

#include "fused/update.h"
#include "kernel/dispatch.h"

typedef struct {
  double lr;
  peri_real rho, rest, momentum, scale;
  peri_real inside, outside;    /* eps where it stands, and 0 */
} numbers;

/* The two options that add a list are constants where this is inlined, so each loop is straight. */
PERI__BODY rmsprop_any (const numbers *a, const peri__span *s, bool centered, bool heavy) {
  const numbers k = *a;
  const peri_real lr = (peri_real) (a->lr * s->rate), decay = (peri_real) s->decay;
  peri_real *restrict p = s->p, *restrict v = s->s[0];
  peri_real *restrict mean = s->s[1], *restrict u = s->s[2];
  const peri_real *restrict g = s->g;
  for (int64_t i = 0; i < s->n; i++) {
    peri_real d = g[i] * k.scale + decay * p[i];
    peri_real variance = k.rho * v[i] + k.rest * (d * d);
    v[i] = variance;
    if (centered) {
      peri_real centre = k.rho * mean[i] + k.rest * d;
      mean[i] = centre;
      variance -= centre * centre;
      variance = variance > 0 ? variance : 0;       /* v - mean^2 can round to just below 0 */
    }
    d /= peri__root(variance + k.inside) + k.outside;
    if (heavy) {
      d += k.momentum * u[i];
      u[i] = d;
    }
    p[i] -= lr * d;
  }
}

PERI__BODY rmsprop_body (const numbers *a, const peri__span *s) {
  if (s->s[1] && s->s[2]) rmsprop_any(a, s, true, true);
  else if (s->s[1]) rmsprop_any(a, s, true, false);
  else if (s->s[2]) rmsprop_any(a, s, false, true);
  else rmsprop_any(a, s, false, false);
}
PERI__DISPATCH(rmsprop, (const numbers *a, const peri__span *s), (a, s))

static void loop (const void *a, const peri__span *s) {
  rmsprop(a, s);
}

static peri_status check_options (const peri_rmsprop *o, bool has_u) {
  peri_status bad = peri__check_option("rmsprop", "lr", o->lr, 0, INFINITY, true);
  if (!bad) bad = peri__check_option("rmsprop", "rho", o->rho, 0, 1, true);
  if (!bad) bad = peri__check_option("rmsprop", "eps", o->eps, 0, INFINITY, true);
  if (!bad) bad = peri__check_option("rmsprop", "momentum", o->momentum, 0, 1, true);
  if (!bad) bad = peri__check_option("rmsprop", "decay", o->decay, 0, INFINITY, true);
  if (!bad) bad = peri__check_option("rmsprop", "scale", o->scale, 0, INFINITY, true);
  if (!bad && o->momentum > 0 && !has_u)
    bad = peri_fail(PERI_E_ARGUMENT, "rmsprop: momentum %g needs its velocities", o->momentum);
  return bad;
}

peri_status peri_rmsprop_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                               peri_tensor *const *v, peri_tensor *const *mean,
                               peri_tensor *const *u, const peri_rmsprop *options) {
  const peri_rmsprop *o = options;
  peri_status bad = check_options(o, u != NULL);
  if (bad) return bad;
  numbers a = {
    .lr = o->lr, .rho = (peri_real) o->rho, .rest = (peri_real) (1 - o->rho),
    .momentum = (peri_real) o->momentum, .scale = (peri_real) o->scale,
    .inside = (peri_real) (o->eps_inside ? o->eps : 0),
    .outside = (peri_real) (o->eps_inside ? 0 : o->eps)
  };
  peri__update run = {
    .name = "rmsprop", .n = n, .plabel = "parameter", .p = p, .glabel = "gradient", .g = g,
    .slabel = {"v", "mean", "velocity"}, .s = {v, mean, u}, .rates = o->rates,
    .decays = o->decays, .decay = o->decay, .loop = loop, .numbers = &a
  };
  return peri__update_run(&run);
}
