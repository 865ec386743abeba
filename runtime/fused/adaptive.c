/* Adagrad, Adadelta, Adamax and Lion, each in one pass. */

#include <math.h>

#include "fused/update.h"
#include "kernel/dispatch.h"

typedef struct {
  double lr;
  peri_real scale, eps;
  peri_real rho, rest;          /* of squares: rho and 1 - rho */
  peri_real b1, c1, b2, c2;     /* beta and 1 - beta */
} numbers;

PERI__BODY adagrad_body (const numbers *a, const peri__span *s) {
  const peri_real lr = (peri_real) (a->lr * s->rate), decay = (peri_real) s->decay;
  const peri_real scale = a->scale, eps = a->eps;
  peri_real *restrict p = s->p, *restrict v = s->s[0];
  const peri_real *restrict g = s->g;
  for (int64_t i = 0; i < s->n; i++) {
    peri_real d = g[i] * scale + decay * p[i];
    peri_real sum = v[i] + d * d;
    v[i] = sum;
    p[i] -= lr * d / (peri__root(sum) + eps);
  }
}
PERI__DISPATCH(adagrad, (const numbers *a, const peri__span *s), (a, s))

PERI__BODY adadelta_body (const numbers *a, const peri__span *s) {
  const peri_real lr = (peri_real) (a->lr * s->rate), decay = (peri_real) s->decay;
  const peri_real scale = a->scale, eps = a->eps, rho = a->rho, rest = a->rest;
  peri_real *restrict p = s->p, *restrict v = s->s[0], *restrict x = s->s[1];
  const peri_real *restrict g = s->g;
  for (int64_t i = 0; i < s->n; i++) {
    peri_real d = g[i] * scale + decay * p[i];
    peri_real vi = rho * v[i] + rest * (d * d);
    v[i] = vi;
    d *= peri__root(x[i] + eps) / peri__root(vi + eps);
    x[i] = rho * x[i] + rest * (d * d);
    p[i] -= lr * d;
  }
}
PERI__DISPATCH(adadelta, (const numbers *a, const peri__span *s), (a, s))

PERI__BODY adamax_body (const numbers *a, const peri__span *s) {
  const peri_real lr = (peri_real) (a->lr * s->rate), decay = (peri_real) s->decay;
  const peri_real scale = a->scale, eps = a->eps, b1 = a->b1, c1 = a->c1, b2 = a->b2;
  peri_real *restrict p = s->p, *restrict m = s->s[0], *restrict u = s->s[1];
  const peri_real *restrict g = s->g;
  for (int64_t i = 0; i < s->n; i++) {
    peri_real d = g[i] * scale + decay * p[i];
    peri_real mi = b1 * m[i] + c1 * d, size = d < 0 ? -d : d, old = b2 * u[i];
    peri_real ui = old > size ? old : size;
    m[i] = mi;
    u[i] = ui;
    p[i] -= lr * mi / (ui + eps);
  }
}
PERI__DISPATCH(adamax, (const numbers *a, const peri__span *s), (a, s))

PERI__BODY lion_body (const numbers *a, const peri__span *s) {
  const double rate = a->lr * s->rate;
  const peri_real lr = (peri_real) rate, keep = (peri_real) (1 - rate * s->decay);
  const peri_real scale = a->scale, b1 = a->b1, c1 = a->c1, b2 = a->b2, c2 = a->c2;
  peri_real *restrict p = s->p, *restrict m = s->s[0];
  const peri_real *restrict g = s->g;
  for (int64_t i = 0; i < s->n; i++) {
    peri_real d = g[i] * scale, c = b1 * m[i] + c1 * d;
    peri_real side = c > 0 ? 1 : c < 0 ? -1 : c;        /* NaN stays NaN */
    m[i] = b2 * m[i] + c2 * d;
    p[i] = keep * p[i] - lr * side;
  }
}
PERI__DISPATCH(lion, (const numbers *a, const peri__span *s), (a, s))

static void adagrad_loop (const void *a, const peri__span *s) {
  adagrad(a, s);
}

static void adadelta_loop (const void *a, const peri__span *s) {
  adadelta(a, s);
}

static void adamax_loop (const void *a, const peri__span *s) {
  adamax(a, s);
}

static void lion_loop (const void *a, const peri__span *s) {
  lion(a, s);
}

/* Options that a rule does not read are 0 and pass. */
static peri_status check_options (const char *name, const peri_adaptive *o) {
  peri_status bad = peri__check_option(name, "lr", o->lr, 0, INFINITY, true);
  if (!bad) bad = peri__check_option(name, "rho", o->rho, 0, 1, true);
  if (!bad) bad = peri__check_option(name, "beta1", o->beta1, 0, 1, true);
  if (!bad) bad = peri__check_option(name, "beta2", o->beta2, 0, 1, true);
  if (!bad) bad = peri__check_option(name, "eps", o->eps, 0, INFINITY, true);
  if (!bad) bad = peri__check_option(name, "decay", o->decay, 0, INFINITY, true);
  if (!bad) bad = peri__check_option(name, "scale", o->scale, 0, INFINITY, true);
  return bad;
}

/* What the four share: `u` comes with its lists and loop. */
static peri_status run (peri__update *u, const peri_adaptive *o, double lr) {
  peri_status bad = check_options(u->name, o);
  if (bad) return bad;
  numbers a = {
    .lr = lr, .scale = (peri_real) o->scale, .eps = (peri_real) o->eps,
    .rho = (peri_real) o->rho, .rest = (peri_real) (1 - o->rho),
    .b1 = (peri_real) o->beta1, .c1 = (peri_real) (1 - o->beta1),
    .b2 = (peri_real) o->beta2, .c2 = (peri_real) (1 - o->beta2)
  };
  u->plabel = "parameter";
  u->glabel = "gradient";
  u->rates = o->rates;
  u->decays = o->decays;
  u->decay = o->decay;
  u->numbers = &a;
  return peri__update_run(u);
}

peri_status peri_adagrad_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                               peri_tensor *const *v, const peri_adaptive *options) {
  peri__update u = {
    .name = "adagrad", .n = n, .p = p, .g = g, .slabel = {"v"}, .s = {v}, .loop = adagrad_loop
  };
  return run(&u, options, options->lr);
}

peri_status peri_adadelta_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                                peri_tensor *const *v, peri_tensor *const *x,
                                const peri_adaptive *options) {
  peri__update u = {
    .name = "adadelta", .n = n, .p = p, .g = g, .slabel = {"v", "x"}, .s = {v, x},
    .loop = adadelta_loop
  };
  return run(&u, options, options->lr);
}

peri_status peri_adamax_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                              peri_tensor *const *m, peri_tensor *const *u,
                              const peri_adaptive *options, int64_t t) {
  peri__update update = {
    .name = "adamax", .n = n, .p = p, .g = g, .slabel = {"m", "u"}, .s = {m, u},
    .loop = adamax_loop
  };
  if (t < 1)
    return peri_fail(PERI_E_ARGUMENT, "adamax: step %lld; steps count from 1", (long long) t);
  /* a beta1 that is out of range is refused by run, whatever this gives */
  double first = options->beta1 > 0 ? -expm1((double) t * log(options->beta1)) : 1;
  return run(&update, options, options->lr / first);
}

peri_status peri_lion_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                            peri_tensor *const *m, const peri_adaptive *options) {
  peri__update u = {
    .name = "lion", .n = n, .p = p, .g = g, .slabel = {"m"}, .s = {m}, .loop = lion_loop
  };
  return run(&u, options, options->lr);
}
