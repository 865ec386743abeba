/* Draws whose parameters are tensors and that may reject.  Element i of a draw has a stream of its
   own, Philox(counter = i and an attempt; key of the draw), so neither threads nor neighbours
   change it. */

#include <math.h>

#include "parallel.h"
#include "perigee/random.h"
#include "philox.h"
#include "shape.h"

enum { CHUNK = 2048 };

static const double pi = 3.14159265358979323846;

/* --- the stream of one element --- */

typedef struct {
  uint32_t key[2], counter[4], word[4];
  int used;                     /* words of the block, 4 when a new one is due */
} stream;

static stream stream_of (uint64_t key, int64_t element) {
  return (stream) {.key = {(uint32_t) key, (uint32_t) (key >> 32)}, .used = 4,
                   .counter = {(uint32_t) element, (uint32_t) ((uint64_t) element >> 32), 0, 0}};
}

/* In (0, 1), never an end: 2^-33 at least. */
static double unit (stream *s) {
  if (s->used == 4) {
    peri__philox(s->counter, s->key, s->word);
    s->counter[2]++;
    s->used = 0;
  }
  return (s->word[s->used++] + 0.5) * 0x1p-32;
}

static double normal (stream *s) {
  double radius = sqrt(-2 * log(unit(s)));
  return radius * cos(2 * pi * unit(s));
}

/* --- the families: a draw from the parameters a and b --- */

/* log of a draw from Gamma(a, 1).  Marsaglia & Tsang 2000; for a < 1 a draw of a + 1 times
   u^(1/a), which is why logarithms are kept: the draw itself falls below any float. */
static double log_gamma (stream *s, double a, double b) {
  (void) b;
  double boost = a < 1 ? log(unit(s)) / a : 0;
  double d = (a < 1 ? a + 1 : a) - 1.0 / 3, c = 1 / sqrt(9 * d);
  for (;;) {
    double z = normal(s), v = 1 + c * z;
    if (v <= 0) continue;
    v = v * v * v;
    double u = unit(s);
    if (u < 1 - 0.0331 * (z * z) * (z * z) || log(u) < 0.5 * z * z + d * (1 - v + log(v)))
      return log(d * v) + boost;
  }
}

/* The smallest normal number stands for draws below it, so that logarithms stay finite. */
static double gamma_draw (stream *s, double a, double b) {
  double x = exp(log_gamma(s, a, b));
  return x > 0x1p-126 ? x : 0x1p-126;
}

/* log k! - (k + 1/2) log(k + 1) + (k + 1) - log(2 pi) / 2 */
static double stirling_rest (double k) {
  static const double first[] = {
    0.08106146679532726, 0.04134069595540929, 0.02767792568499834, 0.02079067210376509,
    0.01664469118982119, 0.01387612882307075, 0.01189670994589177, 0.01041126526197209,
    0.009255462182712733, 0.008330563433362871};
  if (k < 10) return first[(int) k];
  double n = k + 1, w = 1 / (n * n);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 * w) * w) / n;
}

static double log_factorial (double k) {
  return (k + 0.5) * log(k + 1) - (k + 1) + 0.91893853320467274178 + stirling_rest(k);
}

/* Inversion below 10; above, PTRS of Hormann 1993, "The transformed rejection method for
   generating Poisson random variables". */
static double poisson (stream *s, double rate, double none) {
  (void) none;
  if (rate < 10) {
    double u = unit(s), f = exp(-rate), k = 0;
    for (; u > f && k < 200; f *= rate / k) u -= f, k++;
    return k;
  }
  double b = 0.931 + 2.53 * sqrt(rate), a = -0.059 + 0.02483 * b;
  double inverse = 1.1239 + 1.1328 / (b - 3.4), squeeze = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    double u = unit(s) - 0.5, v = unit(s), us = 0.5 - fabs(u);
    double k = floor((2 * a / us + b) * u + rate + 0.43);
    if (us >= 0.07 && v <= squeeze) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    if (log(v * inverse / (a / (us * us) + b)) <= k * log(rate) - rate - log_factorial(k))
      return k;
  }
}

/* Inversion where n p < 10, for p <= 1/2; above, BTRS of Hormann 1993, "The generation of binomial
   random variates". */
static double small_binomial (stream *s, double n, double p) {
  double r = p / (1 - p);
  if (n * p < 10) {
    double u = unit(s), f = exp(n * log1p(-p)), k = 0;
    for (; u > f && k < n && k < 400; f *= r * (n - k + 1) / k) u -= f, k++;
    return k;
  }
  double spread = sqrt(n * p * (1 - p)), b = 1.15 + 2.53 * spread;
  double a = -0.0873 + 0.0248 * b + 0.01 * p, alpha = (2.83 + 5.1 / b) * spread;
  double m = floor((n + 1) * p);
  for (;;) {
    double u = unit(s) - 0.5, v = unit(s), us = 0.5 - fabs(u);
    double k = floor((2 * a / us + b) * u + n * p + 0.5);
    if (k < 0 || k > n) continue;
    if (us >= 0.07 && v <= 0.92 - 4.2 / b) return k;
    double rest = stirling_rest(k) + stirling_rest(n - k);
    double bound = (m + 0.5) * log((m + 1) / (r * (n - m + 1)))
                 + (n + 1) * log((n - m + 1) / (n - k + 1))
                 + (k + 0.5) * log(r * (n - k + 1) / (k + 1))
                 + stirling_rest(m) + stirling_rest(n - m) - rest;
    if (log(v * alpha / (a / (us * us) + b)) <= bound) return k;
  }
}

static double binomial (stream *s, double n, double p) {
  return p > 0.5 ? n - small_binomial(s, n, 1 - p) : small_binomial(s, n, p);
}

/* In [-pi, pi] around 0.  Best & Fisher 1979; a normal of deviation 1 / sqrt(kappa) where that is
   the same to the last bit of a float. */
static double von_mises (stream *s, double kappa, double none) {
  (void) none;
  if (kappa < 1e-8) return pi * (2 * unit(s) - 1);
  if (kappa > 1e6) return normal(s) / sqrt(kappa);
  double r = 1 + sqrt(1 + 4 * kappa * kappa), rho = (r - sqrt(2 * r)) / (2 * kappa);
  double c = kappa < 1e-5 ? 1 / kappa + kappa : (1 + rho * rho) / (2 * rho);
  for (;;) {
    double z = cos(pi * unit(s)), w = (1 + c * z) / (c + z), y = kappa * (c - w), v = unit(s);
    if (y * (2 - y) < v && log(y / v) + 1 - y < 0) continue;
    double angle = acos(w > 1 ? 1 : w < -1 ? -1 : w);
    return unit(s) < 0.5 ? -angle : angle;
  }
}

/* --- over tensors --- */

/* A parameter of a family: its name and what it must be. */
typedef struct { const char *name, *want; bool (*good) (double v); } parameter;

static bool is_positive (double v) { return v > 0 && v < INFINITY; }
static bool is_not_negative (double v) { return v >= 0 && v < INFINITY; }
static bool is_probability (double v) { return v >= 0 && v <= 1; }
static bool is_count (double v) { return v >= 0 && v < INFINITY && floor(v) == v; }

typedef double family (stream *s, double a, double b);

typedef struct {
  uint64_t key;
  peri_tensor *y;
  const peri_real *a, *b;
  family *draw;
} element_job;

static void draw_chunk (void *arg, int64_t chunk) {
  const element_job *j = arg;
  int64_t end = (chunk + 1) * CHUNK < j->y->count ? (chunk + 1) * CHUNK : j->y->count;
  for (int64_t i = chunk * CHUNK; i < end; i++) {
    stream s = stream_of(j->key, i);
    ((peri_real *) j->y->data)[i] = (peri_real) j->draw(&s, (double) j->a[i], (double) j->b[i]);
  }
}

/* x packed in the common shape, with every entry as the parameter wants it. */
static peri_tensor *check_parameter (const char *what, const parameter *p, peri_tensor *x,
                                     peri_dims shape) {
  if (x->dtype != PERI_REAL)
    return peri_null(PERI_E_TYPE, "%s: %s is an %s tensor, want real", what, p->name,
                     peri_dtype_name(x->dtype));
  x = peri__packed(peri__expand_to(x, shape));
  for (int64_t i = 0; x && i < x->count; i++) {
    double v = (double) ((peri_real *) x->data)[i];
    if (!p->good(v))
      return peri_null(PERI_E_ARGUMENT, "%s: entry %lld of %s is %g, want %s", what,
                       (long long) i + 1, p->name, v, p->want);
  }
  return x;
}

static peri_tensor *draw_each (const char *what, peri_rng *r, family *draw, int n,
                               peri_tensor *const *x, const parameter *p) {
  peri_dims shape;
  peri_tensor *in[2] = {NULL};
  for (int i = 0; i < n; i++)
    if (!x[i]) return NULL;
  if (!peri__broadcast(what, n, x, &shape)) return NULL;
  for (int i = 0; i < n; i++) {
    in[i] = check_parameter(what, &p[i], x[i], shape);
    if (!in[i]) return NULL;
  }
  peri_tensor *y = peri_empty(PERI_REAL, shape);
  if (!y) return NULL;
  element_job j = {peri_rng_next(r), y, in[0]->data, in[n - 1]->data, draw};
  peri__parallel((y->count + CHUNK - 1) / CHUNK, draw_chunk, &j);
  return y;
}

peri_tensor *peri_rng_gamma (peri_rng *r, peri_tensor *shape) {
  static const parameter p = {"shape", "a finite number above 0", is_positive};
  return draw_each("gamma", r, gamma_draw, 1, &shape, &p);
}

peri_tensor *peri_rng_log_gamma (peri_rng *r, peri_tensor *shape) {
  static const parameter p = {"shape", "a finite number above 0", is_positive};
  return draw_each("log_gamma", r, log_gamma, 1, &shape, &p);
}

peri_tensor *peri_rng_poisson (peri_rng *r, peri_tensor *rate) {
  static const parameter p = {"rate", "a finite number, 0 or more", is_not_negative};
  return draw_each("poisson", r, poisson, 1, &rate, &p);
}

peri_tensor *peri_rng_binomial (peri_rng *r, peri_tensor *n, peri_tensor *p) {
  static const parameter both[] = {{"n", "a whole number, 0 or more", is_count},
                                   {"p", "0 to 1", is_probability}};
  return draw_each("binomial", r, binomial, 2, (peri_tensor *[]) {n, p}, both);
}

peri_tensor *peri_rng_von_mises (peri_rng *r, peri_tensor *kappa) {
  static const parameter p = {"kappa", "a finite number, 0 or more", is_not_negative};
  return draw_each("von_mises", r, von_mises, 1, &kappa, &p);
}

/* --- categorical: a row is one element --- */

typedef struct {
  uint64_t key;
  const peri_real *logits;
  int32_t *y;
  int64_t rows, classes, share;
} row_job;

static void pick_rows (void *arg, int64_t chunk) {
  const row_job *j = arg;
  int64_t end = (chunk + 1) * j->share < j->rows ? (chunk + 1) * j->share : j->rows;
  for (int64_t i = chunk * j->share; i < end; i++) {
    const peri_real *l = j->logits + i * j->classes;
    stream s = stream_of(j->key, i);
    double sum = 0, top = 0;
    for (int64_t k = 0; k < j->classes; k++) top = k && (double) l[k] <= top ? top : (double) l[k];
    for (int64_t k = 0; k < j->classes; k++) sum += exp((double) l[k] - top);
    double left = unit(&s) * sum;
    int64_t last = 0;           /* class of probability above 0, for what rounding leaves over */
    for (int64_t k = 0; k < j->classes && left >= 0; k++) {
      double p = exp((double) l[k] - top);
      if (p > 0) last = k, left -= p;
    }
    j->y[i] = (int32_t) last + 1;
  }
}

/* Every row has an entry that is not -inf, and none that is NaN or inf. */
static bool check_rows (const peri_real *l, int64_t rows, int64_t classes) {
  for (int64_t i = 0; i < rows; i++) {
    bool some = false;
    for (int64_t k = 0; k < classes; k++) {
      double v = (double) l[i * classes + k];
      some |= v > -INFINITY;
      if (!(v < INFINITY)) {
        peri_fail(PERI_E_ARGUMENT, "categorical: logits have %g in row %lld, want numbers or -inf",
                  v, (long long) i + 1);
        return false;
      }
    }
    if (!some) {
      peri_fail(PERI_E_ARGUMENT, "categorical: row %lld of logits gives no class a probability",
                (long long) i + 1);
      return false;
    }
  }
  return true;
}

peri_tensor *peri_rng_categorical (peri_rng *r, peri_tensor *logits) {
  char text[PERI_SHAPETEXT];
  if (!logits) return NULL;
  if (logits->dtype != PERI_REAL)
    return peri_null(PERI_E_TYPE, "categorical: logits are an %s tensor, want real",
                     peri_dtype_name(logits->dtype));
  peri_dims shape = peri_shape_of(logits);
  if (shape.n == 0 || shape.at[shape.n - 1] == 0)
    return peri_null(PERI_E_SHAPE, "categorical: logits of shape %s have no class on a last axis",
                     peri_shape_text(logits, text));
  int64_t classes = shape.at[--shape.n];
  peri_tensor *x = peri__packed(logits), *y = x ? peri_empty(PERI_INDEX, shape) : NULL;
  if (!y || !check_rows(x->data, y->count, classes)) return NULL;
  row_job j = {.key = peri_rng_next(r), .logits = x->data, .y = y->data, .rows = y->count,
               .classes = classes, .share = classes < 8 * CHUNK ? 8 * CHUNK / classes : 1};
  peri__parallel((j.rows + j.share - 1) / j.share, pick_rows, &j);
  return y;
}
