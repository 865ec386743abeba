/* Shapes, strides and broadcasting.  Nothing in here computes on elements but peri__pack. */

#include "shape.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "node.h"

peri_dims peri_shape (int n, ...) {
  peri_dims d = {.n = n};
  va_list ap;
  va_start(ap, n);
  for (int i = 0; i < n && i < PERI_MAXDIM; i++) d.at[i] = va_arg(ap, int64_t);
  va_end(ap);
  return d;
}

peri_dims peri_shape_of (const peri_tensor *x) {
  peri_dims d = {.n = x->ndim};
  memcpy(d.at, x->shape, (size_t) x->ndim * sizeof d.at[0]);
  return d;
}

int64_t peri_count (peri_dims shape) {
  int64_t n = 1;
  for (int i = 0; i < shape.n; i++) n *= shape.at[i];
  return n;
}

bool peri__has_shape (const peri_tensor *x, peri_dims shape) {
  return x->ndim == shape.n
         && memcmp(x->shape, shape.at, (size_t) shape.n * sizeof shape.at[0]) == 0;
}

bool peri__same_shape (const peri_tensor *x, const peri_tensor *y) {
  return x->ndim == y->ndim
         && memcmp(x->shape, y->shape, (size_t) x->ndim * sizeof x->shape[0]) == 0;
}

const char *peri__dims_text (peri_dims d, char *buf) {
  size_t at = 0;
  buf[at++] = '(';
  for (int i = 0; i < d.n && at < PERI_SHAPETEXT - 24; i++)
    at += (size_t) snprintf(buf + at, PERI_SHAPETEXT - at, i ? ", %lld" : "%lld",
                            (long long) d.at[i]);
  snprintf(buf + at, PERI_SHAPETEXT - at, ")");
  return buf;
}

const char *peri_shape_text (const peri_tensor *x, char *buf) {
  return peri__dims_text(peri_shape_of(x), buf);
}

void peri__set_shape (peri_tensor *x, peri_dims shape) {
  int64_t step = 1;
  x->ndim = (uint8_t) shape.n;
  for (int i = shape.n - 1; i >= 0; i--) {
    x->shape[i] = shape.at[i];
    x->stride[i] = step;
    step *= shape.at[i];
  }
  x->count = step;
}

bool peri_is_contiguous (const peri_tensor *x) {
  int64_t step = 1;
  if (x->count == 0) return true;
  for (int i = x->ndim - 1; i >= 0; i--) {
    if (x->shape[i] != 1 && x->stride[i] != step) return false;
    step *= x->shape[i];
  }
  return true;
}

int peri__axis (const char *op, int axis, int ndim) {
  if (axis < -ndim || axis >= ndim) {
    if (ndim == 0) return (int) peri_fail(PERI_E_ARGUMENT, "%s: x has no axes, its shape is ()", op), -1;
    peri_fail(PERI_E_ARGUMENT, "%s: axis %d is out of range for a tensor of %d ax%s; use 1..%d or "
              "-%d..-1", op, axis < 0 ? axis : axis + 1, ndim, ndim == 1 ? "is" : "es", ndim, ndim);
    return -1;
  }
  return axis < 0 ? axis + ndim : axis;
}

int peri__axis_mask (const char *op, peri_dims axes, int ndim) {
  int mask = 0;
  if (axes.n == 0) return (1 << ndim) - 1;
  for (int i = 0; i < axes.n; i++) {
    int64_t wide = axes.at[i] < INT32_MIN || axes.at[i] > INT32_MAX ? INT32_MAX - 1 : axes.at[i];
    int a = peri__axis(op, (int) wide, ndim);
    if (a < 0) return -1;
    if (mask >> a & 1) {
      peri_fail(PERI_E_ARGUMENT, "%s: axis %d is named twice", op, a + 1);
      return -1;
    }
    mask |= 1 << a;
  }
  return mask;
}

bool peri__broadcast_dims (const char *op, peri_dims a, peri_dims b, peri_dims *shape) {
  peri_dims s = {.n = a.n > b.n ? a.n : b.n};
  for (int i = 1; i <= s.n; i++) {
    int64_t p = i <= a.n ? a.at[a.n - i] : 1, q = i <= b.n ? b.at[b.n - i] : 1;
    if (p != q && p != 1 && q != 1) {
      char ta[PERI_SHAPETEXT], tb[PERI_SHAPETEXT];
      peri_fail(PERI_E_SHAPE, "%s: shapes %s and %s do not broadcast: axis %d from the end has %lld "
                "and %lld; make them equal or one of them 1", op, peri__dims_text(a, ta),
                peri__dims_text(b, tb), i, (long long) p, (long long) q);
      return false;
    }
    s.at[s.n - i] = p == 1 ? q : p;
  }
  *shape = s;
  return true;
}

bool peri__broadcast (const char *op, int n, peri_tensor *const *x, peri_dims *shape) {
  *shape = peri_shape_of(x[0]);
  for (int i = 1; i < n; i++)
    if (!peri__has_shape(x[i], *shape)
        && !peri__broadcast_dims(op, *shape, peri_shape_of(x[i]), shape)) return false;
  return true;
}

peri_tensor *peri__expand_to (peri_tensor *x, peri_dims shape) {
  peri_tensor *y = peri__view(x);
  if (!y) return NULL;
  int lead = shape.n - x->ndim;
  for (int i = 0; i < shape.n; i++) {
    int64_t size = i < lead ? 1 : x->shape[i - lead];
    y->shape[i] = shape.at[i];
    y->stride[i] = i >= lead && size == shape.at[i] ? x->stride[i - lead] : 0;
  }
  y->ndim = (uint8_t) shape.n;
  y->count = peri_count(shape);
  return y;
}

peri_layout peri__layout (const peri_tensor *x, peri_dims shape) {
  peri_layout l = {.n = 0};
  int lead = shape.n - x->ndim;
  for (int i = 0; i < shape.n; i++) {
    int64_t size = shape.at[i];
    int64_t step = i >= lead && x->shape[i - lead] == size ? x->stride[i - lead] : 0;
    if (size == 1) continue;
    if (l.n && l.stride[l.n - 1] == step * size) {       /* one stride serves both */
      l.shape[l.n - 1] *= size;
      l.stride[l.n - 1] = step;
    } else {
      l.shape[l.n] = size;
      l.stride[l.n++] = step;
    }
  }
  if (l.n == 0) {
    l.shape[0] = 1;
    l.stride[l.n++] = 0;
  }
  return l;
}

static void pack_run (const peri_tensor *x, int64_t at, int64_t step, int64_t n, peri_real *to) {
  if (x->dtype == PERI_REAL) {
    const peri_real *p = (const peri_real *) x->data + at;
    if (step == 1) memcpy(to, p, (size_t) n * sizeof *to);
    else for (int64_t i = 0; i < n; i++) to[i] = p[i * step];
  } else if (x->dtype == PERI_INDEX) {
    const int32_t *p = (const int32_t *) x->data + at;
    for (int64_t i = 0; i < n; i++) to[i] = (peri_real) p[i * step];
  } else {
    const uint8_t *p = (const uint8_t *) x->data + at;
    for (int64_t i = 0; i < n; i++) to[i] = (peri_real) p[i * step];
  }
}

void peri__pack (const peri_tensor *x, const peri_layout *l, int64_t from, int64_t n,
                 peri_real *buf) {
  int last = l->n - 1;
  int64_t index[PERI_MAXDIM], at = 0, rest = from;
  for (int i = last; i >= 0; i--) {
    index[i] = rest % l->shape[i];
    rest /= l->shape[i];
    at += index[i] * l->stride[i];
  }
  while (n > 0) {
    int64_t run = l->shape[last] - index[last];
    if (run > n) run = n;
    pack_run(x, at, l->stride[last], run, buf);
    buf += run;
    n -= run;
    at += run * l->stride[last];
    index[last] += run;
    for (int i = last; i > 0 && index[i] == l->shape[i]; i--) {
      at += l->stride[i - 1] - l->shape[i] * l->stride[i];
      index[i] = 0;
      index[i - 1]++;
    }
  }
}
