/* Padding, pooling, resampling, ordering and recurrences: against plain loops, by laws, and what they
   refuse. */
#include <math.h>
#include <string.h>

#include "harness.h"

static double inner_product (const peri_tensor *x, const peri_tensor *y) {
  double sum = 0;
  assert_int_equal(x->count, y->count);
  for (int64_t k = 0; k < x->count; k++) sum += value(x, k) * value(y, k);
  return sum;
}

static void expect_near (const peri_tensor *x, const peri_tensor *y, double tolerance) {
  expect_no_failure("expect_near");
  assert_int_equal(x->count, y->count);
  for (int64_t k = 0; k < x->count; k++)
    if (!(fabs(value(x, k) - value(y, k)) <= tolerance))
      fail_msg("element %lld: %.17g and %.17g", (long long) k, value(x, k), value(y, k));
}

/* Run check on every case of a row that has one. */
static void each_case (peri_opcode op, void (*check) (test_case *c, peri_tensor *y)) {
  test_case c;
  bool was = peri_set_recording(false);
  for (int number = 0; ; number++) {
    peri_scope s = peri_scope_open();
    bool more = make_case(op, 0, number, SMALL_SIZES, &c);
    if (more) {
      peri_tensor *y = run_case(&c);
      expect_no_failure(c.name);
      check(&c, y);
    }
    peri_scope_close(s);
    if (!more) break;
  }
  peri_set_recording(was);
}

/* --- <A x, v> = <x, A* v> --- */

static const struct { peri_opcode op, adjoint; } pairs[] = {
  {PERI_OP_pad, PERI_OP_unpad}, {PERI_OP_avg_pool, PERI_OP_avg_unpool},
  {PERI_OP_resize, PERI_OP_unresize}, {PERI_OP_grid_sample, PERI_OP_grid_spread},
  {PERI_OP_space_to_depth, PERI_OP_depth_to_space}, {PERI_OP_tril, PERI_OP_tril}};
static peri_opcode adjoint_of;

static void check_adjoint (test_case *c, peri_tensor *y) {
  peri_tensor *x = c->in[0], *v = random_tensor(peri_shape_of(y), PERI_IN_REAL, PACKED);
  peri_call back = {.op = adjoint_of, .nin = c->nin, .in = (peri_tensor *[]) {v, c->in[1]}, .a = c->a};
  back.a.dims.n = x->ndim - 2;
  for (int a = 0; a < back.a.dims.n; a++) back.a.dims.at[a] = x->shape[a + 1];
  peri_tensor *u = peri_apply(&back);
  expect_no_failure(c->name);
  char tu[PERI_SHAPETEXT], tx[PERI_SHAPETEXT];
  assert_string_equal(peri_shape_text(u, tu), peri_shape_text(x, tx));
  if (!(fabs(inner_product(y, v) - inner_product(x, u)) < 1e-10)) fail_msg("case '%s'", c->name);
}

static void test_adjoints (void **state) {
  (void) state;
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    adjoint_of = pairs[i].adjoint;
    each_case(pairs[i].op, check_adjoint);
  }
}

/* --- pooling against its definition --- */

/* First and last + 1 entry and the step of window o of spatial axis a, from the arguments alone. */
static void window_of (const test_case *c, int a, int64_t o, int64_t m, int64_t *r) {
  const peri_window *w = &c->a.window;
  int64_t n = c->in[0]->shape[a + 1], size = w->size[a], stride = w->stride[a] ? w->stride[a] : size;
  int64_t step = w->dilation[a], reach = (size - 1) * step + 1, low = w->low[a];
  if (size == 0) {                             /* adaptive */
    r[0] = (int64_t) floor((double) o * (double) n / (double) m);
    r[1] = (int64_t) ceil((double) (o + 1) * (double) n / (double) m);
    r[2] = 1;
    return;
  }
  if (w->padding == PERI_PAD_SAME) low = ((m - 1) * stride + reach - n > 0 ? (m - 1) * stride + reach - n : 0) / 2;
  if (w->padding == PERI_PAD_CAUSAL) low = reach - 1;
  int64_t total = w->padding == PERI_PAD_CAUSAL ? reach - 1 : w->low[a] + w->high[a];
  assert_int_equal(m, w->padding == PERI_PAD_SAME ? (n + stride - 1) / stride
                                                  : (n + total - reach) / stride + 1);
  r[0] = o * stride - low;
  r[1] = r[0] + reach;
  r[2] = step;
}

static void check_pool (test_case *c, peri_tensor *y) {
  const peri_tensor *x = c->in[0];
  int axes = x->ndim - 2;
  bool mean = c->op == PERI_OP_avg_pool || c->op == PERI_OP_adaptive_avg_pool;
  bool place = c->op == PERI_OP_argmax_pool || c->op == PERI_OP_adaptive_argmax_pool;
  for (int64_t k = 0; k < y->count; k++) {
    int64_t at[PERI_MAXDIM], r[3][3] = {{0, 1, 1}, {0, 1, 1}, {0, 1, 1}}, n[3] = {1, 1, 1}, count = 0;
    double sum = 0, most = 0, where = 0;
    coordinates(peri_shape_of(y), k, at);
    for (int a = 0; a < axes; a++) {
      window_of(c, a, at[a + 1], y->shape[a + 1], r[a]);
      n[a] = x->shape[a + 1];
    }
    for (int64_t p = r[0][0]; p < r[0][1]; p += r[0][2])
      for (int64_t q = r[1][0]; q < r[1][1]; q += r[1][2])
        for (int64_t s = r[2][0]; s < r[2][1]; s += r[2][2]) {
          if (p < 0 || q < 0 || s < 0 || p >= n[0] || q >= n[1] || s >= n[2]) continue;
          const int64_t pixel[3] = {p, q, s};
          int64_t from[PERI_MAXDIM] = {at[0]};
          for (int a = 0; a < axes; a++) from[a + 1] = pixel[a];
          from[axes + 1] = at[axes + 1];
          double v = peri_at(x, from);
          if (count++ == 0 || v > most) most = v, where = (double) ((p * n[1] + q) * n[2] + s + 1);
          sum += v;
        }
    double want = mean ? sum / (double) count : place ? where : most;
    if (!(fabs(value(y, k) - want) < 1e-12)) fail_msg("%s: %g, want %g", c->name, value(y, k), want);
  }
}

static void test_pools (void **state) {
  static const peri_opcode rows[] = {
    PERI_OP_max_pool, PERI_OP_argmax_pool, PERI_OP_avg_pool, PERI_OP_adaptive_max_pool,
    PERI_OP_adaptive_argmax_pool, PERI_OP_adaptive_avg_pool};
  (void) state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) each_case(rows[i], check_pool);
}

/* Of equals the first, of NaN the first, and NaN before everything. */
static void test_pool_ties (void **state) {
  static const peri_real numbers[] = {1, 3, 3, 2, 1, 1, 0, (peri_real) NAN, 5, (peri_real) NAN};
  static const int places[] = {2, 3, 5, 8, 10};
  peri_window two = {.size = {2}, .stride = {2}, .dilation = {1}};
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_copy_of(PERI_REAL, dims(3, 1, 10, 1), numbers);
  peri_tensor *at = peri_argmax_pool(x, two), *y = peri_max_pool(x, two);
  expect_no_failure("argmax_pool");
  for (int k = 0; k < 5; k++) assert_int_equal((int) value(at, k), places[k]);
  for (int k = 3; k < 5; k++) assert_true(isnan(value(y, k)));
  peri_scope_close(s);
}

/* --- resampling --- */

/* Constants stay; the same size is the identity; a ramp stays a ramp away from the edges. */
static void test_resize_laws (void **state) {
  (void) state;
  for (int mode = 0; mode < 4; mode++) {
    peri_scope s = peri_scope_open();
    peri_tensor *flat = peri_full(PERI_REAL, dims(4, 2, 5, 7, 3), 2.5);
    peri_tensor *y = peri_resize(flat, dims(2, 9, 3), mode);
    expect_near(y, peri_full(PERI_REAL, dims(4, 2, 9, 3, 3), 2.5), 1e-14);
    peri_tensor *x = random_tensor(dims(4, 2, 5, 7, 3), PERI_IN_REAL, TRANSPOSED);
    expect_near(peri_resize(x, dims(2, 5, 7), mode), x, 1e-14);
    peri_scope_close(s);
  }
  peri_scope s = peri_scope_open();
  peri_tensor *ramp = peri_empty(PERI_REAL, dims(3, 1, 8, 1));
  for (int i = 0; i < 8; i++) *element(ramp, i) = (peri_real) i;
  peri_tensor *y = peri_resize(ramp, dims(1, 24), 1), *z = peri_resize(ramp, dims(1, 24), 0);
  for (int i = 0; i < 24; i++) {
    double at = (i + 0.5) / 3 - 0.5;
    assert_true(fabs(value(y, i) - fmin(fmax(at, 0), 7)) < 1e-12);
    assert_int_equal((int) value(z, i), i / 3);
  }
  peri_scope_close(s);
}

/* Keys' kernel at distance 1/4 and 3/4, which is where doubling a size samples: with a = -3/4 the
   weights are those of (a + 2) d^3 - (a + 3) d^2 + 1 and a (d^3 - 5 d^2 + 8 d - 4). */
static void test_bicubic_impulse (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_full(PERI_REAL, dims(3, 1, 9, 1), 0);
  *element(x, 4) = 1;
  peri_tensor *y = peri_resize(x, dims(1, 18), 2);
  for (int i = 0; i < 18; i++) {
    double d = fabs((i + 0.5) / 2 - 0.5 - 4), a = -0.75;
    double want = d <= 1 ? (a + 2) * pow(d, 3) - (a + 3) * d * d + 1
                : d < 2 ? a * (pow(d, 3) - 5 * d * d + 8 * d - 4) : 0;
    assert_true(fabs(value(y, i) - want) < 1e-14);
  }
  peri_scope_close(s);
}

/* Sampling at the centres of the pixels gives the image; far outside 0, or the nearest edge. */
static void test_grid_laws (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = random_tensor(dims(4, 2, 4, 5, 3), PERI_IN_REAL, TRANSPOSED);
  peri_tensor *grid = peri_empty(PERI_REAL, dims(4, 2, 4, 5, 2));
  for (int64_t k = 0; k < grid->count; k++) {
    int64_t at[PERI_MAXDIM];
    coordinates(peri_shape_of(grid), k, at);
    int64_t i = at[3] ? at[1] : at[2], n = at[3] ? 4 : 5;
    *element(grid, k) = (peri_real) ((2 * (double) i + 1) / (double) n - 1);
  }
  for (int mode = 0; mode < 2; mode++) expect_near(peri_grid_sample(x, grid, mode), x, 1e-13);
  peri_tensor *far = peri_full(PERI_REAL, dims(4, 2, 1, 1, 2), 50);
  expect_near(peri_grid_sample(x, far, 0), peri_full(PERI_REAL, dims(2, 2, 3), 0), 0);
  peri_tensor *corner = peri_slice(peri_slice(x, 1, 3, 4, 1), 2, 4, 5, 1);
  expect_near(peri_grid_sample(x, far, 1), corner, 0);
  peri_tensor *none = peri_full(PERI_REAL, dims(4, 2, 1, 1, 2), NAN);
  assert_true(isnan(value(peri_grid_sample(x, none, 0), 0)));
  peri_scope_close(s);
}

/* --- order --- */

/* Ascending or descending, equals in the order they had; the values are those at argsort's places. */
static void check_sort (test_case *c, peri_tensor *y) {
  const peri_tensor *x = c->in[0];
  peri_tensor *place = peri_argsort(c->in[0], c->a.axis, c->a.keep);
  expect_near(peri_gather(c->in[0], place, c->a.axis), y, 0);
  int axis = c->a.axis < 0 ? c->a.axis + x->ndim : c->a.axis;
  for (int64_t k = 0; k < y->count; k++) {
    int64_t at[PERI_MAXDIM];
    coordinates(peri_shape_of(y), k, at);
    double v = peri_at(y, at), p = peri_at(place, at);
    if (at[axis]++ + 1 == y->shape[axis]) continue;
    double next = peri_at(y, at);
    assert_true(c->a.keep ? v >= next : v <= next);
    if (v == next) assert_true(p < peri_at(place, at));
  }
}

static void test_sort (void **state) {
  (void) state;
  each_case(PERI_OP_sort, check_sort);
}

/* Many equals, both zeros, infinities and NaN, in short rows and in long ones. */
static void check_ties (int n, bool down) {
  static const double drawn[] = {-1, 0, -0.0, 2, INFINITY, -INFINITY, NAN};
  static bool seen[5000];
  peri_tensor *x = peri_empty(PERI_REAL, dims(1, n));
  for (int k = 0; k < n; k++) *element(x, k) = (peri_real) drawn[draw_integer(0, 6)];
  peri_tensor *p = peri_argsort(x, 0, down);
  memset(seen, 0, sizeof seen);
  for (int k = 0; k < n; k++) {
    int at = (int) value(p, k) - 1, next = k < n - 1 ? (int) value(p, k + 1) - 1 : -1;
    assert_true(at >= 0 && at < n && !seen[at]);
    seen[at] = true;
    if (next < 0) continue;
    double v = value(x, at), w = value(x, next);
    assert_true(isnan(w) || (down ? v >= w : v <= w));
    if (v == w || (isnan(v) && isnan(w))) assert_true(at < next);
  }
}

static void test_sort_ties (void **state) {
  (void) state;
  for (int down = 0; down < 2; down++) {
    peri_scope s = peri_scope_open();
    check_ties(1000, down);
    check_ties(5000, down);
    peri_scope_close(s);
  }
}

static void check_topk (test_case *c, peri_tensor *y) {
  peri_tensor *all = peri_sort(c->in[0], c->a.axis, c->a.keep);
  expect_near(y, peri_slice(all, c->a.axis, 0, c->a.i[0], 1), 0);
  peri_tensor *place = peri_argtopk(c->in[0], c->a.i[0], c->a.axis, c->a.keep);
  expect_near(place, peri_slice(peri_argsort(c->in[0], c->a.axis, c->a.keep), c->a.axis, 0,
                                c->a.i[0], 1), 0);
}

static void check_search (test_case *c, peri_tensor *y) {
  const peri_tensor *edges = c->in[0], *x = c->in[1];
  int64_t n = edges->shape[edges->ndim - 1];
  for (int64_t k = 0; k < x->count; k++) {
    int64_t list = edges->ndim == 1 ? 0 : k / x->shape[x->ndim - 1];
    int count = 0;
    for (int64_t i = 0; i < n; i++) count += value(edges, list * n + i) <= value(x, k);
    assert_int_equal((int) value(y, k), count);
  }
}

static void test_topk_and_search (void **state) {
  (void) state;
  each_case(PERI_OP_topk, check_topk);
  each_case(PERI_OP_searchsorted, check_search);
}

/* --- recurrences --- */

static void check_scan (test_case *c, peri_tensor *y) {
  peri_dims shape = peri_shape_of(y);
  int axis = c->a.axis < 0 ? c->a.axis + y->ndim : c->a.axis;
  bool product = c->op == PERI_OP_cumprod, up = !product && c->a.keep;
  peri_tensor *x = peri_expand(c->in[0], shape), *a = product ? x : peri_expand(c->in[1], shape);
  for (int64_t k = 0; k < y->count; k++) {
    int64_t at[PERI_MAXDIM], last;
    coordinates(shape, k, at);
    last = at[axis];
    double v = product ? 1 : 0;
    at[axis] = up ? shape.at[axis] - 1 : 0;
    for (; up ? at[axis] >= last : at[axis] <= last; at[axis] += up ? -1 : 1)
      v = product ? v * peri_at(x, at) : peri_at(a, at) * v + peri_at(x, at);
    assert_true(fabs(v - value(y, k)) < 1e-12 * fmax(1, fabs(v)));
  }
}

static void test_scans (void **state) {
  (void) state;
  each_case(PERI_OP_cumprod, check_scan);
  each_case(PERI_OP_linear_scan, check_scan);
}

/* d/dx_i of the sum of the products, by leaving x_i out, with none, one and two zeros. */
static void test_cumprod_zeros (void **state) {
  (void) state;
  for (int zeros = 0; zeros < 3; zeros++) {
    peri_scope s = peri_scope_open();
    peri_tensor *x = random_tensor(dims(1, 6), PERI_IN_REAL, PACKED), *g;
    if (zeros > 0) *element(x, 2) = 0;
    if (zeros > 1) *element(x, 4) = 0;
    peri_require_grad(x, true);
    peri_grad(peri_sum(peri_cumprod(x, 0), dims(0), false), NULL, 1, &x, 0, &g);
    expect_no_failure("cumprod");
    for (int i = 0; i < 6; i++) {
      double want = 0;
      for (int t = i; t < 6; t++) {
        double p = 1;
        for (int k = 0; k <= t; k++) if (k != i) p *= value(x, k);
        want += p;
      }
      assert_true(fabs(value(g, i) - want) < 1e-12);
    }
    peri_scope_close(s);
  }
}

/* --- refusals --- */

static void test_windows_refused (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_full(PERI_REAL, dims(4, 1, 4, 4, 2), 1);
  peri_window none = {.dilation = {1, 1, 1}}, large = {.size = {5, 5}, .dilation = {1, 1}};
  peri_window lists = {.size = {2, 2, 2}, .dilation = {1, 1, 1}, .listed = 3};
  peri_window far = {.size = {2, 2}, .stride = {1, 1}, .dilation = {1, 1}, .low = {3, 0}};
  assert_null(peri_max_pool(x, none));
  expect_failure(PERI_E_ARGUMENT, "^max_pool: ", "size", NULL);
  assert_null(peri_avg_pool(x, large));
  expect_failure(PERI_E_SHAPE, "^avg_pool: ", "5", "(1, 4, 4, 2)", NULL);
  assert_null(peri_max_pool(x, lists));
  expect_failure(PERI_E_ARGUMENT, "^max_pool: ", "3 entries", "2 spatial", NULL);
  assert_null(peri_avg_pool(x, far));
  expect_failure(PERI_E_SHAPE, "^avg_pool: ", "padding", "(1, 4, 4, 2)", NULL);
  assert_null(peri_max_pool(peri_number(1), large));
  expect_failure(PERI_E_SHAPE, "^max_pool: ", "()", NULL);
  assert_null(peri_adaptive_avg_pool(x, dims(1, 2)));
  expect_failure(PERI_E_SHAPE, "^adaptive_avg_pool: ", "(1, 4, 4, 2)", "(2)", NULL);
  assert_null(peri_resize(x, dims(2, 0, 3), 1));
  expect_failure(PERI_E_SHAPE, "^resize: ", "(1, 4, 4, 2)", "(0, 3)", NULL);
  assert_null(peri_resize(peri_full(PERI_REAL, dims(4, 1, 0, 4, 2), 1), dims(2, 3, 3), 0));
  expect_failure(PERI_E_SHAPE, "^resize: ", "(1, 0, 4, 2)", NULL);
  assert_null(peri_avg_unpool(x, dims(2, 4, 4), (peri_window) {.size = {2, 2}, .dilation = {1, 1}}));
  expect_failure(PERI_E_SHAPE, "^avg_unpool: ", "(1, 4, 4, 2)", "(4, 4)", NULL);
  assert_null(peri_grid_sample(x, peri_full(PERI_REAL, dims(4, 2, 3, 3, 2), 0), 0));
  expect_failure(PERI_E_SHAPE, "^grid_sample: ", "(1, 4, 4, 2)", "(2, 3, 3, 2)", NULL);
  peri_scope_close(s);
}

static void test_others_refused (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_full(PERI_REAL, dims(2, 2, 3), 1), *image = peri_full(PERI_REAL, dims(4, 1, 4, 3, 2), 1);
  assert_null(peri_pad(x, 1, 3, 0, 1));
  expect_failure(PERI_E_ARGUMENT, "^pad: ", "before = 3", "(2, 3)", NULL);
  assert_null(peri_pad(x, 1, -1, 0, 0));
  expect_failure(PERI_E_ARGUMENT, "^pad: ", "before = -1", NULL);
  assert_null(peri_pad(x, 1, 0, 4, 3));
  expect_failure(PERI_E_ARGUMENT, "^pad: ", "after = 4", NULL);
  assert_null(peri_pad(peri_full(PERI_REAL, dims(1, 0), 0), 0, 1, 1, 2));
  expect_failure(PERI_E_ARGUMENT, "^pad: ", "(0)", NULL);
  assert_null(peri_unpad(x, 1, 3, 1, 1));
  expect_failure(PERI_E_ARGUMENT, "^unpad: ", "(2, 3)", NULL);
  assert_null(peri_space_to_depth(image, 2));
  expect_failure(PERI_E_SHAPE, "^space_to_depth: ", "(1, 4, 3, 2)", "2", NULL);
  assert_null(peri_depth_to_space(image, 2));
  expect_failure(PERI_E_SHAPE, "^depth_to_space: ", "(1, 4, 3, 2)", "square", NULL);
  assert_null(peri_tile(x, dims(2, 2, -1)));
  expect_failure(PERI_E_ARGUMENT, "^tile: ", "(2, -1)", "(2, 3)", NULL);
  assert_null(peri_tril(peri_full(PERI_REAL, dims(1, 3), 1), 0));
  expect_failure(PERI_E_SHAPE, "^tril: ", "(3)", NULL);
  assert_null(peri_topk(x, 4, 1, true));
  expect_failure(PERI_E_ARGUMENT, "^topk: ", "k = 4", "(2, 3)", NULL);
  *element(x, 4) = (peri_real) NAN;
  assert_null(peri_topk(x, 1, 1, true));
  expect_failure(PERI_E_ARGUMENT, "^topk: ", "NaN", "(2, 3)", NULL);
  assert_null(peri_argtopk(x, 1, 0, false));
  expect_failure(PERI_E_ARGUMENT, "^argtopk: ", "NaN", NULL);
  assert_null(peri_searchsorted(x, x));
  expect_failure(PERI_E_ARGUMENT, "^searchsorted: ", "ascend", "(2, 3)", NULL);
  assert_null(peri_searchsorted(image, x));
  expect_failure(PERI_E_SHAPE, "^searchsorted: ", "(1, 4, 3, 2)", "(2, 3)", NULL);
  assert_null(peri_linear_scan(x, peri_full(PERI_REAL, dims(1, 2), 1), 0, false));
  expect_failure(PERI_E_SHAPE, "^linear_scan: ", "(2, 3)", "(2)", NULL);
  peri_scope_close(s);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_adjoints), cmocka_unit_test(test_pools), cmocka_unit_test(test_pool_ties),
    cmocka_unit_test(test_resize_laws), cmocka_unit_test(test_bicubic_impulse),
    cmocka_unit_test(test_grid_laws), cmocka_unit_test(test_sort), cmocka_unit_test(test_sort_ties),
    cmocka_unit_test(test_topk_and_search), cmocka_unit_test(test_scans),
    cmocka_unit_test(test_cumprod_zeros), cmocka_unit_test(test_windows_refused),
    cmocka_unit_test(test_others_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
