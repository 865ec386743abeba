/* Windows over the spatial axes of an image, and matrices applied to one axis after the other. */

#include "op/spatial.h"

enum { LARGEST = 1 << 28 };

int peri__spatial_axes (const char *op, peri_dims x) {
  char text[PERI_SHAPETEXT];
  if (x.n >= 3 && x.n <= 2 + PERI__SPATIAL) return x.n - 2;
  peri_fail(PERI_E_SHAPE, "%s: x of shape %s must be (batch, 1 to 3 spatial axes.., channels); reshape "
            "it", op, peri__dims_text(x, text));
  return 0;
}

/* Size, stride and step of the windows of an axis, and how many there are. */
static bool fit_axis (const char *op, const peri_window *given, int a, peri_dims x, peri__windows *w) {
  char text[PERI_SHAPETEXT];
  int64_t n = x.at[a + 1], size = given->size[a], step = given->dilation[a], high = given->high[a];
  int64_t stride = given->stride[a] ? given->stride[a] : size, reach = (size - 1) * step + 1;
  int64_t low = given->low[a], missing;
  if (size < 1 || stride < 1 || step < 1 || low < 0 || high < 0 || size > LARGEST || step > LARGEST)
    return peri_fail(PERI_E_ARGUMENT, "%s: window of size %lld, stride %lld, dilation %lld and padding "
                     "%lld, %lld; want a size of at least 1, as in {size = 2}", op, (long long) size,
                     (long long) stride, (long long) step, (long long) low, (long long) high), false;
  if (given->padding == PERI_PAD_SAME) {
    missing = n > 0 ? ((n - 1) / stride) * stride + reach - n : 0;
    low = missing > 0 ? missing / 2 : 0;
    high = missing > 0 ? missing - low : 0;
  } else if (given->padding == PERI_PAD_CAUSAL) {
    low = reach - 1;
    high = 0;
  }
  if (n + low + high < reach || n < 1)
    return peri_fail(PERI_E_SHAPE, "%s: a window of %lld does not fit x of shape %s, padded %lld and "
                     "%lld along axis %d", op, (long long) reach, peri__dims_text(x, text),
                     (long long) low, (long long) high, a + 2), false;
  w->n[a] = n;
  w->size[a] = size;
  w->stride[a] = stride;
  w->step[a] = step;
  w->low[a] = low;
  w->m[a] = (n + low + high - reach) / stride + 1;
  return true;
}

static bool covers_all (const char *op, peri_dims x, const peri__windows *w) {
  char text[PERI_SHAPETEXT];
  for (int a = 0; a < w->axes; a++)
    for (int64_t o = 0; o < w->m[a]; o++) {
      int64_t first, last;
      peri__window_range(w, a, o, &first, &last);
      if (first < last) continue;
      return peri_fail(PERI_E_SHAPE, "%s: window %lld of axis %d lies in the padding, outside x of "
                       "shape %s; pad less than the window's size", op, (long long) o + 1, a + 2,
                       peri__dims_text(x, text)), false;
    }
  return true;
}

bool peri__pool_windows (const peri_call *c, peri_dims x, peri__windows *w) {
  const char *op = peri_ops[c->op].name;
  const peri_window *given = &c->a.window;
  *w = (peri__windows) {.axes = peri__spatial_axes(op, x)};
  if (w->axes == 0) return false;
  if (given->listed && given->listed != w->axes)
    return peri_fail(PERI_E_ARGUMENT, "%s: the window's lists have %d entries, but there are %d spatial "
                     "axes", op, given->listed, w->axes), false;
  for (int a = 0; a < w->axes; a++)
    if (!fit_axis(op, given, a, x, w)) return false;
  return covers_all(op, x, w);
}

bool peri__adaptive_windows (const char *op, peri_dims x, peri_dims sizes, peri__windows *w) {
  char text[PERI_SHAPETEXT], want[PERI_SHAPETEXT];
  *w = (peri__windows) {.axes = peri__spatial_axes(op, x), .adaptive = true};
  bool good = w->axes == sizes.n;
  if (w->axes == 0) return false;
  for (int a = 0; a < w->axes && good; a++) {
    w->n[a] = x.at[a + 1];
    w->m[a] = sizes.at[a];
    w->step[a] = 1;
    good = w->m[a] >= 1 && w->m[a] <= LARGEST && w->n[a] >= 1;
  }
  if (good) return true;
  return peri_fail(PERI_E_SHAPE, "%s: x of shape %s has %d spatial axes, and sizes are %s; want one of "
                   "at least 1 for each, and none of x empty", op, peri__dims_text(x, text), x.n - 2,
                   peri__dims_text(sizes, want)), false;
}

void peri__window_range (const peri__windows *w, int a, int64_t o, int64_t *first, int64_t *last) {
  int64_t n = w->n[a], start = o * w->stride[a] - w->low[a], end = start + (w->size[a] - 1) * w->step[a];
  if (w->adaptive) {
    *first = o * n / w->m[a];
    *last = ((o + 1) * n + w->m[a] - 1) / w->m[a];
    return;
  }
  *first = start < 0 ? start + (-start + w->step[a] - 1) / w->step[a] * w->step[a] : start;
  *last = end < n ? end + 1 : n;
}

bool peri__average_taps (const void *arg, int axis, int64_t n, int64_t m, peri__taps *t) {
  const peri__windows *w = arg;
  int64_t room = 0, first, last, step = w->step[axis];
  for (int64_t o = 0; o < m; o++) {
    peri__window_range(w, axis, o, &first, &last);
    room += (last - first + step - 1) / step;
  }
  if (!peri__taps_open(t, n, m, room)) return false;
  for (int64_t o = 0; o < m; o++) {
    peri__window_range(w, axis, o, &first, &last);
    double weight = 1 / (double) ((last - first + step - 1) / step);
    for (int64_t i = first; i < last; i += step) peri__taps_add(t, i, weight);
    peri__taps_end_row(t);
  }
  return true;
}

/* One axis of packed x. */
static peri_tensor *along (peri_tensor *x, int axis, int64_t n, int64_t m, bool adjoint,
                           peri__tapping *tapping, const void *arg) {
  peri__taps t;
  peri_dims shape = peri_shape_of(x);
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < shape.n; i++) *(i <= axis ? &outer : &inner) *= i == axis + 1 ? 1 : shape.at[i];
  shape.at[axis + 1] = adjoint ? n : m;
  peri_tensor *y = peri_empty(PERI_REAL, shape);
  if (!y || !tapping(arg, axis, n, m, &t)) return NULL;
  bool ready = !adjoint || peri__taps_transpose(&t);
  if (ready) peri__taps_apply(&t, outer, inner, x->data, y->data);
  peri__taps_close(&t);
  return ready ? y : NULL;
}

/* Axes that shrink go first: less is left for the others. */
peri_tensor *peri__along_axes (peri_tensor *x, int axes, const int64_t *n, const int64_t *m,
                               bool adjoint, peri__tapping *tapping, const void *arg) {
  x = peri__packed(x);
  for (int growing = 0; growing < 2; growing++)
    for (int a = 0; a < axes && x; a++)
      if ((adjoint ? n[a] > m[a] : m[a] > n[a]) == growing)
        x = along(x, a, n[a], m[a], adjoint, tapping, arg);
  return x;
}
