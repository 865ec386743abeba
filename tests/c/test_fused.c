/* Fused updates: against the textbook formulas in plain C, their laws, and their failures.  Sizes
   cross chunk boundaries, gradients come strided and broadcast. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "perigee/fused.h"
#include "perigee/perigee.h"

enum { N = 4, STEPS = 3, ROWS = 70, COLUMNS = 500 };

/* Parameters of shapes (70, 500), (), (0, 3), (17), their gradients, and four lists of state. */
typedef struct {
  peri_scope scope;
  peri_tensor *p[N], *g[N], *s[4][N];
} fixture;

static const peri_adam ADAM = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .scale = 1};
static const peri_sgd SGD = {.lr = 0.1, .momentum = 0.9, .scale = 1};
static const peri_rmsprop RMSPROP = {.lr = 0.01, .rho = 0.9, .eps = 1e-3, .scale = 1};

static double next_number (void) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (double) (state >> 11) / 9007199254740992.0 * 2 - 1;
}

static peri_real *data (const peri_tensor *x) {
  return x->data;
}

static peri_tensor *numbers (peri_dims shape) {
  peri_tensor *x = peri_empty(PERI_REAL, shape);
  assert_non_null(x);
  for (int64_t i = 0; i < x->count; i++) data(x)[i] = (peri_real) next_number();
  return x;
}

static peri_dims shape_of_entry (int i) {
  if (i == 0) return peri_shape(2, (int64_t) ROWS, (int64_t) COLUMNS);
  if (i == 1) return peri_shape(0);
  if (i == 2) return peri_shape(2, (int64_t) 0, (int64_t) 3);
  return peri_shape(1, (int64_t) 17);
}

/* Gradient 0 is a transposed view, gradient 3 one number broadcast. */
static void fill_gradients (fixture *f) {
  f->g[0] = peri_transpose(numbers(peri_shape(2, (int64_t) COLUMNS, (int64_t) ROWS)), 0, 1);
  f->g[1] = numbers(shape_of_entry(1));
  f->g[2] = numbers(shape_of_entry(2));
  f->g[3] = peri_expand(numbers(peri_shape(0)), shape_of_entry(3));
}

static fixture *set_up (fixture *f) {
  f->scope = peri_scope_open();
  for (int i = 0; i < N; i++) {
    f->p[i] = numbers(shape_of_entry(i));
    assert_int_equal(peri_require_grad(f->p[i], true), 0);
    for (int k = 0; k < 4; k++) f->s[k][i] = peri_full(PERI_REAL, shape_of_entry(i), 0);
  }
  fill_gradients(f);
  return f;
}

static void tear_down (fixture *f) {
  peri_clear();
  peri_scope_close(f->scope);
}

/* Element k of a tensor of any layout, in the order of its shape. */
static double at (const peri_tensor *x, int64_t k) {
  int64_t index[PERI_MAXDIM];
  for (int i = x->ndim - 1; i >= 0; i--) {
    index[i] = k % x->shape[i];
    k /= x->shape[i];
  }
  return peri_at(x, index);
}

/* Copies of all parameters and states, to compare with. */
typedef struct {
  double *x[5 * N];
} copies;

static peri_tensor *written (const fixture *f, int j) {
  return j < N ? f->p[j] : f->s[j / N - 1][j % N];
}

static copies copy_all (const fixture *f) {
  copies c;
  for (int j = 0; j < 5 * N; j++) {
    const peri_tensor *x = written(f, j);
    c.x[j] = test_malloc((size_t) (x->count + 1) * sizeof(double));
    for (int64_t k = 0; k < x->count; k++) c.x[j][k] = (double) data(x)[k];
  }
  return c;
}

static void free_copies (copies c) {
  for (int j = 0; j < 5 * N; j++) test_free(c.x[j]);
}

static void expect_close (const fixture *f, copies want, double tolerance) {
  for (int j = 0; j < 5 * N; j++)
    for (int64_t k = 0; k < written(f, j)->count; k++) {
      double got = (double) data(written(f, j))[k], w = want.x[j][k];
      if (!(fabs(got - w) <= tolerance * fmax(1, fabs(w))))
        fail_msg("list %d, entry %d, element %d: %.17g, want %.17g", j / N, j % N, (int) k, got, w);
    }
}

/* --- the formulas ---------------------------------------------------------------------------- */

static void plain_adam (double *p, double *m, double *v, double g, const peri_adam *o, int t) {
  g *= o->scale;
  *m = o->beta1 * *m + (1 - o->beta1) * g;
  *v = o->beta2 * *v + (1 - o->beta2) * g * g;
  double first = 1 - pow(o->beta1, t), second = 1 - pow(o->beta2, t);
  *p -= o->lr * o->decay * *p;
  if (o->eps_hat) *p -= o->lr * sqrt(second) / first * *m / (sqrt(*v) + o->eps);
  else *p -= o->lr * (*m / first) / (sqrt(*v / second) + o->eps);
}

static void check_adam (peri_adam o) {
  fixture f;
  set_up(&f);
  copies c = copy_all(&f);
  for (int t = 1; t <= STEPS; t++) {
    for (int i = 0; i < N; i++)
      for (int64_t k = 0; k < f.p[i]->count; k++)
        plain_adam(&c.x[i][k], &c.x[N + i][k], &c.x[2 * N + i][k], at(f.g[i], k), &o, t);
    assert_int_equal(peri_adam_step(N, f.p, f.g, f.s[0], f.s[1], NULL, NULL, &o, t), 0);
    fill_gradients(&f);
  }
  expect_close(&f, c, 1e-13);
  free_copies(c);
  tear_down(&f);
}

static void adam_is_the_paper_s (void **state) {
  (void) state;
  peri_adam o = ADAM;
  check_adam(o);
  o.eps_hat = true;
  check_adam(o);
  o.decay = 0.1;
  o.scale = 0.25;
  check_adam(o);
  o.beta1 = o.beta2 = 0;
  check_adam(o);
}

/* One step of each of the other rules by its formula; x points at a parameter's states. */
static void plain_adaptive (int rule, double *p, double **x, double g, const peri_adaptive *o,
                            int t) {
  g *= o->scale;
  if (rule < 3) g += o->decay * *p;
  double c = o->beta1 * *x[0] + (1 - o->beta1) * g;
  if (rule == 0) {
    *x[0] += g * g;
    *p -= o->lr * g / (sqrt(*x[0]) + o->eps);
  } else if (rule == 1) {
    *x[0] = o->rho * *x[0] + (1 - o->rho) * g * g;
    double d = sqrt(*x[1] + o->eps) / sqrt(*x[0] + o->eps) * g;
    *x[1] = o->rho * *x[1] + (1 - o->rho) * d * d;
    *p -= o->lr * d;
  } else if (rule == 2) {
    *x[0] = c;
    *x[1] = fmax(o->beta2 * *x[1], fabs(g));
    *p -= o->lr / (1 - pow(o->beta1, t)) * c / (*x[1] + o->eps);
  } else {
    *x[0] = o->beta2 * *x[0] + (1 - o->beta2) * g;
    *p = *p * (1 - o->lr * o->decay) - o->lr * (c > 0 ? 1 : c < 0 ? -1 : 0);
  }
}

static peri_status step_adaptive (int rule, fixture *f, const peri_adaptive *o, int t) {
  if (rule == 0) return peri_adagrad_step(N, f->p, f->g, f->s[0], o);
  if (rule == 1) return peri_adadelta_step(N, f->p, f->g, f->s[0], f->s[1], o);
  if (rule == 2) return peri_adamax_step(N, f->p, f->g, f->s[0], f->s[1], o, t);
  return peri_lion_step(N, f->p, f->g, f->s[0], o);
}

/* With rates and decays of their own for each parameter in every second run. */
static void adaptive_rules_are_the_formulas (void **state) {
  static const double rates[N] = {1, 3, 1, 0.5}, decays[N] = {0, 0.1, 0.2, 0.3};
  (void) state;
  for (int k = 0; k < 8; k++) {
    peri_adaptive o = {.lr = 0.1, .rho = 0.9, .beta1 = 0.9, .beta2 = 0.7, .eps = 1e-3, .scale = 0.5,
                       .decay = 0.05};
    if (k & 1) o.rates = rates, o.decays = decays;
    fixture f;
    set_up(&f);
    copies c = copy_all(&f);
    for (int t = 1; t <= STEPS; t++) {
      for (int i = 0; i < N; i++) {
        peri_adaptive one = o;
        if (k & 1) one.lr *= rates[i], one.decay = decays[i];
        for (int64_t j = 0; j < f.p[i]->count; j++)
          plain_adaptive(k / 2, &c.x[i][j], (double *[]) {&c.x[N + i][j], &c.x[2 * N + i][j]},
                         at(f.g[i], j), &one, t);
      }
      assert_int_equal(step_adaptive(k / 2, &f, &o, t), 0);
      fill_gradients(&f);
    }
    expect_close(&f, c, 1e-13);
    free_copies(c);
    tear_down(&f);
  }
}

static void amsgrad_and_optimism (void **state) {
  (void) state;
  for (int k = 1; k < 4; k++) {
    peri_adam o = ADAM;
    o.beta2 = 0.5;
    fixture f;
    set_up(&f);
    copies c = copy_all(&f);
    for (int t = 1; t <= STEPS; t++) {
      for (int i = 0; i < N; i++)
        for (int64_t j = 0; j < f.p[i]->count; j++) {
          double g = at(f.g[i], j), *m = &c.x[N + i][j], *v = &c.x[2 * N + i][j];
          double *top = &c.x[3 * N + i][j], *last = &c.x[4 * N + i][j];
          *m = o.beta1 * *m + (1 - o.beta1) * g;
          *v = o.beta2 * *v + (1 - o.beta2) * g * g;
          if (k & 1) *top = fmax(*top, *v);
          double d = o.lr * *m / (1 - pow(o.beta1, t))
                     / (sqrt((k & 1 ? *top : *v) / (1 - pow(o.beta2, t))) + o.eps);
          c.x[i][j] -= k & 2 ? 2 * d - *last : d;
          if (k & 2) *last = d;
        }
      assert_int_equal(peri_adam_step(N, f.p, f.g, f.s[0], f.s[1], k & 1 ? f.s[2] : NULL,
                                      k & 2 ? f.s[3] : NULL, &o, t), 0);
      fill_gradients(&f);
    }
    expect_close(&f, c, 1e-13);
    free_copies(c);
    tear_down(&f);
  }
}

static void sums_accumulate (void **state) {
  fixture f;
  (void) state;
  set_up(&f);
  copies c = copy_all(&f);
  for (int i = 0; i < N; i++)
    for (int64_t k = 0; k < f.p[i]->count; k++) c.x[i][k] += -0.5 * at(f.g[i], k);
  assert_int_equal(peri_accumulate(N, f.p, f.g, -0.5), 0);
  expect_close(&f, c, 1e-15);
  free_copies(c);
  tear_down(&f);
}

static void plain_sgd (double *p, double *u, double g, const peri_sgd *o) {
  g = g * o->scale + o->decay * *p;
  *u = o->momentum * *u + g;
  *p -= o->lr * (o->nesterov ? g + o->momentum * *u : *u);
}

static void check_sgd (peri_sgd o, bool with_u) {
  fixture f;
  set_up(&f);
  copies c = copy_all(&f);
  for (int t = 1; t <= STEPS; t++) {
    for (int i = 0; i < N; i++)
      for (int64_t k = 0; k < f.p[i]->count; k++) {
        double none = 0;
        plain_sgd(&c.x[i][k], with_u ? &c.x[N + i][k] : &none, at(f.g[i], k), &o);
      }
    assert_int_equal(peri_sgd_step(N, f.p, f.g, with_u ? f.s[0] : NULL, &o), 0);
    fill_gradients(&f);
  }
  expect_close(&f, c, 1e-13);
  free_copies(c);
  tear_down(&f);
}

static void sgd_is_the_formula (void **state) {
  (void) state;
  peri_sgd o = SGD;
  check_sgd(o, true);
  o.decay = 0.2;
  o.scale = 0.5;
  check_sgd(o, true);
  o.nesterov = true;
  check_sgd(o, true);
  check_sgd((peri_sgd) {.lr = 0.1, .decay = 0.2, .scale = 0.5}, false);
}

static void plain_rmsprop (double *p, double *v, double *mean, double *u, double g,
                           const peri_rmsprop *o) {
  g *= o->scale;
  *v = o->rho * *v + (1 - o->rho) * g * g;
  double variance = *v;
  if (mean) {
    *mean = o->rho * *mean + (1 - o->rho) * g;
    variance = fmax(0, variance - *mean * *mean);
  }
  double d = g / (o->eps_inside ? sqrt(variance + o->eps) : sqrt(variance) + o->eps);
  if (u) d = *u = o->momentum * *u + d;
  *p -= o->lr * d;
}

static void check_rmsprop (peri_rmsprop o, bool centered, bool heavy) {
  fixture f;
  set_up(&f);
  copies c = copy_all(&f);
  for (int t = 1; t <= STEPS; t++) {
    for (int i = 0; i < N; i++)
      for (int64_t k = 0; k < f.p[i]->count; k++)
        plain_rmsprop(&c.x[i][k], &c.x[N + i][k], centered ? &c.x[2 * N + i][k] : NULL,
                      heavy ? &c.x[3 * N + i][k] : NULL, at(f.g[i], k), &o);
    assert_int_equal(peri_rmsprop_step(N, f.p, f.g, f.s[0], centered ? f.s[1] : NULL,
                                       heavy ? f.s[2] : NULL, &o), 0);
    fill_gradients(&f);
  }
  expect_close(&f, c, 1e-11);           /* v - mean^2 cancels */
  free_copies(c);
  tear_down(&f);
}

static void rmsprop_is_the_formula (void **state) {
  (void) state;
  peri_rmsprop o = RMSPROP;
  for (int k = 0; k < 4; k++) {
    o.momentum = k & 1 ? 0.8 : 0;
    o.eps_inside = false;
    check_rmsprop(o, k & 2, k & 1);
    o.eps_inside = true;
    o.scale = 0.5;
    check_rmsprop(o, k & 2, k & 1);
  }
}

static void average_and_swap (void **state) {
  fixture f;
  (void) state;
  set_up(&f);
  copies c = copy_all(&f);
  assert_int_equal(peri_ema_update(N, f.s[0], f.p, 1), 0);
  expect_close(&f, c, 0);               /* decay 1 changes nothing */
  for (int t = 0; t < 2; t++) assert_int_equal(peri_ema_update(N, f.s[0], f.p, 0.75), 0);
  for (int i = 0; i < N; i++)
    for (int64_t k = 0; k < f.p[i]->count; k++) c.x[N + i][k] = (1 - 0.75 * 0.75) * c.x[i][k];
  expect_close(&f, c, 1e-15);
  assert_int_equal(peri_swap(N, f.p, f.s[0]), 0);
  for (int i = 0; i < N; i++) {
    double *t = c.x[i];
    c.x[i] = c.x[N + i];
    c.x[N + i] = t;
  }
  expect_close(&f, c, 1e-15);
  free_copies(c);
  tear_down(&f);
}

static void norm_is_euclid_s (void **state) {
  fixture f;
  double sum = 0, norm;
  (void) state;
  set_up(&f);
  for (int i = 0; i < N; i++)
    for (int64_t k = 0; k < f.g[i]->count; k++) sum += at(f.g[i], k) * at(f.g[i], k);
  assert_int_equal(peri_global_norm(N, f.g, &norm), 0);
  assert_true(fabs(norm - sqrt(sum)) <= 1e-12 * sqrt(sum));
  assert_int_equal(peri_global_norm(0, NULL, &norm), 0);
  assert_true(norm == 0);
  peri_tensor *bad[] = {f.g[0], peri_full(PERI_INDEX, peri_shape(0), 1)};
  assert_int_equal(peri_global_norm(2, bad, &norm), PERI_E_TYPE);
  tear_down(&f);
}

/* --- laws ------------------------------------------------------------------------------------ */

static void threads_do_not_matter (void **state) {
  peri_real *first = NULL;
  (void) state;
  int before = peri_threads();
  for (int threads = 1; threads <= 3; threads++) {
    fixture f;
    peri_set_threads(threads);
    set_up(&f);
    for (int64_t k = 0; k < f.p[0]->count; k++) {
      data(f.p[0])[k] = (peri_real) sin((double) k);
      data(f.g[0])[k] = (peri_real) cos((double) k * 3);
    }
    assert_int_equal(peri_adam_step(N, f.p, f.g, f.s[0], f.s[1], NULL, NULL, &ADAM, 1), 0);
    size_t bytes = (size_t) f.p[0]->count * sizeof(peri_real);
    if (!first) first = memcpy(test_malloc(bytes), f.p[0]->data, bytes);
    else assert_memory_equal(first, f.p[0]->data, bytes);
    tear_down(&f);
  }
  test_free(first);
  peri_set_threads(before);
}

/* Every rule, over several chunks: the bytes of parameters and states after two steps. */
static void no_rule_sees_threads (void **state) {
  (void) state;
  int before = peri_threads();
  for (int rule = 0; rule < 6; rule++) {
    peri_real *first[5] = {NULL};
    for (int threads = 1; threads <= 3; threads++) {
      fixture f;
      peri_adaptive o = {.lr = 0.1, .rho = 0.9, .beta1 = 0.9, .beta2 = 0.7, .scale = 1};
      o.eps = 1e-3;
      peri_set_threads(threads);
      set_up(&f);
      for (int64_t k = 0; k < f.p[0]->count; k++) {
        data(f.p[0])[k] = (peri_real) sin((double) k);
        data(f.g[0])[k] = (peri_real) cos((double) k * 3);
      }
      for (int t = 1; t <= 2; t++) {
        peri_status status = rule == 4 ? peri_accumulate(N, f.p, f.g, 0.3)
          : rule == 5 ? peri_adam_step(N, f.p, f.g, f.s[0], f.s[1], f.s[2], f.s[3], &ADAM, t)
                      : step_adaptive(rule, &f, &o, t);
        assert_int_equal(status, 0);
      }
      size_t bytes = (size_t) f.p[0]->count * sizeof(peri_real);
      for (int j = 0; j < 5; j++) {
        const peri_tensor *x = written(&f, j * N);
        if (!first[j]) first[j] = memcpy(test_malloc(bytes), x->data, bytes);
        else assert_memory_equal(first[j], x->data, bytes);
      }
      tear_down(&f);
    }
    for (int j = 0; j < 5; j++) test_free(first[j]);
  }
  peri_set_threads(before);
}

static void graphs_notice (void **state) {
  fixture f;
  peri_tensor *dx;
  (void) state;
  set_up(&f);
  uint32_t version = f.p[0]->storage->version;
  peri_tensor *y = peri_sum(peri_square(f.p[0]), peri_shape(0), false);
  assert_int_equal(peri_sgd_step(N, f.p, f.g, NULL, &(peri_sgd) {.lr = 1, .scale = 1}), 0);
  assert_int_equal(f.p[0]->storage->version, version + 1);
  assert_int_equal(peri_grad(y, NULL, 1, f.p, 0, &dx), PERI_E_GRAPH);
  tear_down(&f);
}

/* Gradients may be what is written, and are read as they were: p - lr p, and p - lr q, q - lr p. */
static void gradients_may_be_parameters (void **state) {
  fixture f;
  (void) state;
  set_up(&f);
  copies c = copy_all(&f);
  peri_sgd o = {.lr = 0.5, .scale = 1};
  assert_int_equal(peri_sgd_step(N, f.p, f.p, NULL, &o), 0);
  for (int i = 0; i < N; i++)
    for (int64_t k = 0; k < f.p[i]->count; k++) c.x[i][k] *= 0.5;
  expect_close(&f, c, 0);
  peri_tensor *p[] = {f.p[0], f.s[0][0]}, *q[] = {f.s[0][0], f.p[0]};
  for (int64_t k = 0; k < f.p[0]->count; k++) {
    data(f.s[0][0])[k] = (peri_real) (c.x[N][k] = (double) k);
    double x = c.x[0][k], y = c.x[N][k];
    c.x[0][k] = x - 0.5 * y;
    c.x[N][k] = y - 0.5 * x;
  }
  assert_int_equal(peri_sgd_step(2, p, q, NULL, &o), 0);
  expect_close(&f, c, 0);
  free_copies(c);
  tear_down(&f);
}

/* For constant gradients v - mean^2 goes to 0 and rounds below it. */
static void centered_variance_stays_positive (void **state) {
  fixture f;
  (void) state;
  set_up(&f);
  peri_rmsprop o = {.lr = 1e-3, .rho = 0.5, .eps = 1e-30, .scale = 1, .eps_inside = true};
  for (int t = 1; t <= 200; t++)
    assert_int_equal(peri_rmsprop_step(N, f.p, f.g, f.s[0], f.s[1], NULL, &o), 0);
  for (int i = 0; i < N; i++)
    for (int64_t k = 0; k < f.p[i]->count; k++) assert_true(isfinite(data(f.p[i])[k]));
  tear_down(&f);
}

/* --- failures -------------------------------------------------------------------------------- */

/* The call fails with a code and a message that has `text`, and nothing is changed. */
static void expect_refusal (fixture *f, peri_status status, peri_status code, const char *text,
                            copies before, const uint32_t *versions) {
  if (status != code || peri_error() != code || !strstr(peri_message(), text))
    fail_msg("status %d, want %d; message '%s', want '%s'", status, code, peri_message(), text);
  if (strchr(peri_message(), '\n')) fail_msg("two lines: %s", peri_message());
  expect_close(f, before, 0);
  for (int j = 0; j < 5 * N; j++)
    assert_int_equal(written(f, j)->storage->version, versions[j]);
  peri_clear();
}

static void refusals_change_nothing (void **state) {
  fixture f;
  uint32_t versions[5 * N];
  (void) state;
  set_up(&f);
  copies c = copy_all(&f);
  for (int j = 0; j < 5 * N; j++) versions[j] = written(&f, j)->storage->version;
  peri_tensor *bad[N], *twice[N];
  memcpy(twice, f.p, sizeof twice);
  twice[3] = f.s[0][3];

#define REFUSED(call, code, text) expect_refusal(&f, call, code, text, c, versions)
#define WITH(i, x) (memcpy(bad, f.g, sizeof bad), bad[i] = (x), bad)
#define STEP(g, t) peri_adam_step(N, f.p, g, f.s[0], f.s[1], NULL, NULL, &ADAM, t)
  REFUSED(STEP(f.g, 0), PERI_E_ARGUMENT, "step 0");
  REFUSED(STEP(WITH(3, f.g[0]), 1), PERI_E_SHAPE, "gradient 4 has shape (70, 500)");
  REFUSED(STEP(WITH(1, NULL), 1), PERI_E_ARGUMENT, "gradient 2 is missing");
  REFUSED(STEP(WITH(3, peri_full(PERI_INDEX, shape_of_entry(3), 1)), 1), PERI_E_TYPE,
          "gradient 4 is index");
  REFUSED(peri_adam_step(N, twice, f.g, f.s[0], f.s[1], NULL, NULL, &ADAM, 1), PERI_E_ARGUMENT,
          "m 4 shares its memory");
  REFUSED(peri_swap(N, f.p, f.p), PERI_E_ARGUMENT, "shares its memory");
  memcpy(twice, f.p, sizeof twice);
  twice[3] = peri_neg(f.p[3]);
  REFUSED(peri_sgd_step(N, twice, f.g, f.s[0], &SGD), PERI_E_GRAPH, "parameter 4");
  memcpy(twice, f.p, sizeof twice);
  twice[0] = f.g[0];
  REFUSED(peri_sgd_step(N, twice, f.g, f.s[0], &SGD), PERI_E_SHAPE, "parameter 1");
  REFUSED(peri_sgd_step(N, f.p, f.g, NULL, &SGD), PERI_E_ARGUMENT, "velocities");
  REFUSED(peri_sgd_step(N, f.p, f.g, NULL, &(peri_sgd) {.lr = -1, .scale = 1}), PERI_E_ARGUMENT,
          "lr is -1");
  REFUSED(peri_sgd_step(N, f.p, f.g, NULL, &(peri_sgd) {.lr = 1, .scale = NAN}), PERI_E_ARGUMENT,
          "scale is");
  REFUSED(peri_sgd_step(N, f.p, f.g, NULL, &(peri_sgd) {.lr = 1, .scale = 1, .nesterov = true}),
          PERI_E_ARGUMENT, "nesterov");
  REFUSED(peri_rmsprop_step(N, f.p, f.g, f.s[0], NULL, NULL, &(peri_rmsprop) {.lr = 1, .rho = 1}),
          PERI_E_ARGUMENT, "rho is 1");
  const double minus[N] = {1, 1, -1, 1};
  peri_adaptive o = {.lr = 1, .scale = 1, .rates = minus};
  REFUSED(peri_lion_step(N, f.p, f.g, f.s[0], &o), PERI_E_ARGUMENT, "lion: rate 3 is -1");
  o = (peri_adaptive) {.lr = 1, .scale = 1, .decays = minus};
  REFUSED(peri_adagrad_step(N, f.p, f.g, f.s[0], &o), PERI_E_ARGUMENT, "adagrad: decay 3 is -1");
  o = (peri_adaptive) {.lr = 1, .scale = 1, .beta1 = NAN};
  REFUSED(peri_adamax_step(N, f.p, f.g, f.s[0], f.s[1], &o, 1), PERI_E_ARGUMENT, "beta1 is");
  o.beta1 = 0;
  REFUSED(peri_adamax_step(N, f.p, f.g, f.s[0], f.s[1], &o, 0), PERI_E_ARGUMENT, "step 0");
  REFUSED(peri_adadelta_step(N, f.p, f.g, f.s[0], f.s[0], &o), PERI_E_ARGUMENT,
          "shares its memory");
  REFUSED(peri_accumulate(N, f.s[0], f.p, INFINITY), PERI_E_ARGUMENT, "factor is inf");
  REFUSED(peri_ema_update(N, f.s[0], f.p, 1.5), PERI_E_ARGUMENT, "decay is 1.5");
  free_copies(c);
  tear_down(&f);
}

static void every_allocation_may_fail (void **state) {
  fixture f;
  uint32_t versions[5 * N];
  (void) state;
  set_up(&f);
  peri_tensor *g[N];
  memcpy(g, f.g, sizeof g);
  g[1] = f.p[1];                        /* and so one that must be copied */
  copies c = copy_all(&f);
  for (int j = 0; j < 5 * N; j++) versions[j] = written(&f, j)->storage->version;
  int64_t objects = peri_memory_now().objects;
  int n = 1;
  for (;; n++) {
    peri_fail_allocation(n);
    peri_status status = peri_adam_step(N, f.p, g, f.s[0], f.s[1], NULL, NULL, &ADAM, 1);
    peri_fail_allocation(0);
    assert_int_equal(peri_memory_now().objects, objects);
    if (!status) break;
    expect_refusal(&f, status, PERI_E_MEMORY, "memory", c, versions);
  }
  assert_true(n > 4);
  for (n = 1;; n++) {
    double norm = -1;
    peri_fail_allocation(n);
    peri_status status = peri_global_norm(N, f.g, &norm);
    peri_fail_allocation(0);
    assert_int_equal(peri_memory_now().objects, objects);
    if (!status) break;
    assert_true(norm == -1);
    peri_clear();
  }
  assert_true(n > 3);
  free_copies(c);
  tear_down(&f);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(adam_is_the_paper_s),
    cmocka_unit_test(sgd_is_the_formula),
    cmocka_unit_test(rmsprop_is_the_formula),
    cmocka_unit_test(adaptive_rules_are_the_formulas),
    cmocka_unit_test(amsgrad_and_optimism),
    cmocka_unit_test(sums_accumulate),
    cmocka_unit_test(average_and_swap),
    cmocka_unit_test(norm_is_euclid_s),
    cmocka_unit_test(threads_do_not_matter),
    cmocka_unit_test(no_rule_sees_threads),
    cmocka_unit_test(graphs_notice),
    cmocka_unit_test(gradients_may_be_parameters),
    cmocka_unit_test(centered_variance_stays_positive),
    cmocka_unit_test(refusals_change_nothing),
    cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
