/* Stochastic gradient descent with momentum and Nesterov's look-ahead, in one pass. */

#include <math.h>

#include "fused/update.h"
#include "kernel/dispatch.h"

typedef struct {
  double lr;
  peri_real momentum, scale;
  peri_real ahead;      /* share of u in the step, and of g: (0, 1) for Nesterov, else (1, 0) */
  peri_real gradient;
} numbers;

PERI__BODY plain_body (const numbers *a, const peri__span *s) {
  const peri_real lr = (peri_real) (a->lr * s->rate), decay = (peri_real) s->decay;
  const peri_real scale = a->scale;
  peri_real *restrict p = s->p;
  const peri_real *restrict g = s->g;
  for (int64_t i = 0; i < s->n; i++) p[i] -= lr * (g[i] * scale + decay * p[i]);
}
PERI__DISPATCH(plain, (const numbers *a, const peri__span *s), (a, s))

PERI__BODY momentum_body (const numbers *a, const peri__span *s) {
  const peri_real lr = (peri_real) (a->lr * s->rate), decay = (peri_real) s->decay;
  const peri_real momentum = a->momentum, scale = a->scale;
  const peri_real ahead = a->ahead, gradient = a->gradient;
  peri_real *restrict p = s->p, *restrict u = s->s[0];
  const peri_real *restrict g = s->g;
  for (int64_t i = 0; i < s->n; i++) {
    peri_real d = g[i] * scale + decay * p[i];
    peri_real ui = momentum * u[i] + d;
    u[i] = ui;
    p[i] -= lr * (ahead * ui + gradient * d);
  }
}
PERI__DISPATCH(momentum, (const numbers *a, const peri__span *s), (a, s))

static void plain_loop (const void *a, const peri__span *s) {
  plain(a, s);
}

static void momentum_loop (const void *a, const peri__span *s) {
  momentum(a, s);
}

static peri_status check_options (const peri_sgd *o, bool has_u) {
  peri_status bad = peri__check_option("sgd", "lr", o->lr, 0, INFINITY, true);
  if (!bad) bad = peri__check_option("sgd", "momentum", o->momentum, 0, 1, true);
  if (!bad) bad = peri__check_option("sgd", "decay", o->decay, 0, INFINITY, true);
  if (!bad) bad = peri__check_option("sgd", "scale", o->scale, 0, INFINITY, true);
  if (!bad && o->momentum > 0 && !has_u)
    bad = peri_fail(PERI_E_ARGUMENT, "sgd: momentum %g needs its velocities", o->momentum);
  if (!bad && o->nesterov && !(o->momentum > 0))
    bad = peri_fail(PERI_E_ARGUMENT, "sgd: nesterov needs momentum > 0");
  return bad;
}

peri_status peri_sgd_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                           peri_tensor *const *u, const peri_sgd *options) {
  const peri_sgd *o = options;
  peri_status bad = check_options(o, u != NULL);
  if (bad) return bad;
  numbers a = {
    .lr = o->lr, .momentum = (peri_real) o->momentum, .scale = (peri_real) o->scale,
    .ahead = (peri_real) (o->nesterov ? o->momentum : 1),
    .gradient = o->nesterov ? 1 : 0
  };
  peri__update run = {
    .name = "sgd", .n = n, .plabel = "parameter", .p = p, .glabel = "gradient", .g = g,
    .slabel = {"velocity"}, .s = {u}, .rates = o->rates, .decays = o->decays, .decay = o->decay,
    .loop = u ? momentum_loop : plain_loop, .numbers = &a
  };
  return peri__update_run(&run);
}
