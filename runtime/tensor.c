/* Storage, handles and scopes: who owns what.  Knows no operation. */

#include "perigee/tensor.h"

#include <math.h>
#include <string.h>

#include "kernel/copy.h"
#include "memory.h"
#include "node.h"
#include "shape.h"

enum { HEAD = 64 };             /* a storage's record stands before its data, in one block */

static const struct {
  const char *name;
  size_t size;
} dtypes[] = {{"real", sizeof(peri_real)}, {"index", sizeof(int32_t)}, {"byte", 1}};

size_t peri_itemsize (peri_dtype type) {
  return dtypes[type].size;
}

const char *peri_dtype_name (peri_dtype type) {
  return dtypes[type].name;
}

/* --- scopes --- */

static _Thread_local peri_tensor *scope;       /* tensors borrowed since the innermost opening */

peri_scope peri_scope_open (void) {
  peri_scope s = {scope};
  scope = NULL;
  return s;
}

void peri_scope_close (peri_scope s) {
  while (scope) {
    peri_tensor *x = scope;
    scope = x->next;
    x->next = NULL;
    peri_drop(x);
  }
  scope = s.outer;
}

peri_tensor *peri_keep (peri_tensor *x) {
  if (x) x->ref++;
  return x;
}

void peri__storage_drop (peri_storage *s) {
  if (!s || --s->ref) return;
  peri__count_bytes(-(ptrdiff_t) s->bytes);
  peri__count_object(-1);
  peri__free(s, HEAD + s->bytes);
}

void peri_drop (peri_tensor *x) {
  if (!x || --x->ref) return;
  peri_storage *s = x->storage;
  peri_node *n = x->node;
  peri__count_object(-1);
  peri__free(x, sizeof *x);
  peri__storage_drop(s);
  peri__node_drop(n);
}

/* --- making --- */

static peri_storage *new_storage (size_t bytes) {
  peri_storage *s = peri__alloc(HEAD + bytes);
  if (!s) return NULL;
  *s = (peri_storage) {.ref = 1, .bytes = bytes, .data = (char *) s + HEAD};
  peri__count_bytes((ptrdiff_t) bytes);
  peri__count_object(1);
  return s;
}

peri_tensor *peri__wrap (peri_storage *s, peri_dtype type, peri_dims shape) {
  peri_tensor *x = peri__alloc(sizeof *x);
  if (!x) return NULL;
  x->ref = 1;
  x->dtype = (uint8_t) type;
  x->data = s->data;
  x->storage = s;
  x->node = NULL;
  peri__set_shape(x, shape);
  s->ref++;
  peri__count_object(1);
  x->next = scope;
  scope = x;
  return x;
}

peri_tensor *peri__view (const peri_tensor *x) {
  peri_tensor *y = peri__wrap(x->storage, x->dtype, (peri_dims) {.n = 0});
  if (!y) return NULL;
  y->data = x->data;
  y->ndim = x->ndim;
  y->count = x->count;
  memcpy(y->shape, x->shape, sizeof y->shape);
  memcpy(y->stride, x->stride, sizeof y->stride);
  return y;
}

peri_tensor *peri_empty (peri_dtype type, peri_dims shape) {
  int64_t n = 1;
  if (shape.n < 0 || shape.n > PERI_MAXDIM)
    return peri_null(PERI_E_SHAPE, "a tensor has at most %d axes, not %d", PERI_MAXDIM, shape.n);
  for (int i = 0; i < shape.n; i++) {
    char text[PERI_SHAPETEXT];
    if (shape.at[i] < 0)
      return peri_null(PERI_E_SHAPE, "shape %s: a size cannot be negative",
                       peri__dims_text(shape, text));
    if (__builtin_mul_overflow(n, shape.at[i], &n) || n > (int64_t) 1 << 42)
      return peri_null(PERI_E_MEMORY, "shape %s has too many elements",
                       peri__dims_text(shape, text));
  }
  peri_storage *s = new_storage((size_t) n * peri_itemsize(type));
  if (!s) return NULL;
  peri_tensor *x = peri__wrap(s, type, shape);
  peri__storage_drop(s);
  return x;
}

peri_tensor *peri_full (peri_dtype type, peri_dims shape, double value) {
  peri_tensor *x = peri_empty(type, shape);
  if (!x) return NULL;
  if (value == 0 && !signbit(value)) {
    memset(x->data, 0, x->storage->bytes);
  } else if (type == PERI_REAL) {
    peri_real *p = x->data, v = (peri_real) value;
    for (int64_t i = 0; i < x->count; i++) p[i] = v;
  } else if (type == PERI_INDEX) {
    int32_t *p = x->data, v = (int32_t) value;
    for (int64_t i = 0; i < x->count; i++) p[i] = v;
  } else {
    memset(x->data, (uint8_t) value, x->storage->bytes);
  }
  return x;
}

peri_tensor *peri_number (double value) {
  peri_tensor *x = peri_empty(PERI_REAL, (peri_dims) {.n = 0});
  if (x) *(peri_real *) x->data = (peri_real) value;
  return x;
}

peri_tensor *peri_copy_of (peri_dtype type, peri_dims shape, const void *data) {
  peri_tensor *x = peri_empty(type, shape);
  if (x && x->count) memcpy(x->data, data, x->storage->bytes);
  return x;
}

double peri_at (const peri_tensor *x, const int64_t *index) {
  int64_t at = 0;
  for (int i = 0; i < x->ndim; i++) at += index[i] * x->stride[i];
  if (x->dtype == PERI_REAL) return (double) ((const peri_real *) x->data)[at];
  if (x->dtype == PERI_INDEX) return ((const int32_t *) x->data)[at];
  return ((const uint8_t *) x->data)[at];
}

/* --- copying --- */

/* Packed y takes the elements of x, of the same shape; bit for bit. */
static void copy_elements (peri_tensor *y, const peri_tensor *x) {
  peri__copy(y->ndim, y->shape, y->data, y->stride, x->data, x->stride, peri_itemsize(x->dtype));
}

peri_tensor *peri__packed (peri_tensor *x) {
  if (!x || peri_is_contiguous(x)) return x;
  peri_tensor *y = peri_empty(x->dtype, peri_shape_of(x));
  if (y) copy_elements(y, x);
  return y;
}

peri_tensor *peri_clone (peri_tensor *x) {
  peri_tensor *y = x ? peri_empty(x->dtype, peri_shape_of(x)) : NULL;
  if (y) copy_elements(y, x);
  return y;
}

peri_tensor *peri_detach (peri_tensor *x) {
  return x ? peri__view(x) : NULL;
}

peri_tensor *peri_cast (peri_tensor *x, peri_dtype type) {
  if (!x) return NULL;
  peri_tensor *y = peri_empty(type, peri_shape_of(x));
  if (!y) return NULL;
  if (type == x->dtype) {
    copy_elements(y, x);
    return y;
  }
  peri_layout l = peri__layout(x, peri_shape_of(x));
  peri_real buf[512];
  for (int64_t at = 0, n; at < x->count; at += n) {
    n = x->count - at < 512 ? x->count - at : 512;
    if (type == PERI_REAL) {
      peri__pack(x, &l, at, n, (peri_real *) y->data + at);
      continue;
    }
    peri__pack(x, &l, at, n, buf);
    double low = type == PERI_BYTE ? 0 : INT32_MIN, high = type == PERI_BYTE ? 255 : INT32_MAX;
    for (int64_t i = 0; i < n; i++) {
      double v = (double) buf[i];
      if (!(v >= low && v <= high))
        return peri_null(PERI_E_ARGUMENT, "%s: %g does not fit; clamp x to [%.0f, %.0f] first",
                         peri_dtype_name(type), v, low, high);
      if (type == PERI_BYTE) ((uint8_t *) y->data)[at + i] = (uint8_t) v;
      else ((int32_t *) y->data)[at + i] = (int32_t) v;
    }
  }
  return y;
}

peri_status peri_assign (peri_tensor *x, const peri_tensor *y) {
  char tx[PERI_SHAPETEXT], ty[PERI_SHAPETEXT];
  if (!x || !y) return peri_error();
  if (!peri__same_shape(x, y))
    return peri_fail(PERI_E_SHAPE, "assign: shapes differ: %s takes %s", peri_shape_text(x, tx),
                     peri_shape_text(y, ty));
  if (x->dtype != y->dtype)
    return peri_fail(PERI_E_TYPE, "assign: x is %s and y is %s; convert y with y:%s()",
                     peri_dtype_name(x->dtype), peri_dtype_name(y->dtype),
                     peri_dtype_name(x->dtype));
  if (x->node && x->node->nin)
    return peri_fail(PERI_E_GRAPH, "assign: x is a result that a graph depends on; detach it, or "
                     "write the change as an operation");
  if (!peri_is_contiguous(x))
    return peri_fail(PERI_E_SHAPE, "assign: x of shape %s is a strided view; assign to the whole",
                     peri_shape_text(x, tx));
  if (y->storage == x->storage) {                      /* a view of x in another order */
    peri_scope s = peri_scope_open();
    peri_tensor *copy = peri_clone((peri_tensor *) y);
    if (copy) copy_elements(x, copy);
    peri_scope_close(s);
    if (!copy) return peri_error();
  } else {
    copy_elements(x, y);
  }
  x->storage->version++;
  return PERI_OK;
}
