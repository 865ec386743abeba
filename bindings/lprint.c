/* Tensors as text, as a person reads them: dtype and shape, then aligned columns in one precision,
   long axes cut in the middle.  Allocates nothing but what Lua holds, so an error in Lua loses
   nothing. */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lbox.h"

enum {
  WHOLE = 1000,         /* up to so many elements all are shown */
  LINE = 80,            /* a vector is broken into lines of this width */
  NUMBER = 40           /* characters a number may take */
};

typedef struct {
  const peri_tensor *x;
  /* Entries shown at each end of an axis; all when it has no more than two edges. */
  int64_t edge[PERI_MAXDIM];
  char conversion;              /* of printf: 'd', 'f' or 'e' */
  int digits, width;
} print_style;

static double element (const peri_tensor *x, int64_t at) {
  if (x->dtype == PERI_REAL) return (double) ((const peri_real *) x->data)[at];
  if (x->dtype == PERI_INDEX) return ((const int32_t *) x->data)[at];
  return ((const uint8_t *) x->data)[at];
}

static void write_number (const print_style *s, double v, char *buf) {
  if (isnan(v)) strcpy(buf, "nan");
  else if (isinf(v)) strcpy(buf, v > 0 ? "inf" : "-inf");
  else if (s->conversion == 'e') snprintf(buf, NUMBER, "%.*e", s->digits, v);
  else snprintf(buf, NUMBER, "%.*f", s->digits, v);
}

/* --- what is shown --- */

/* Ends of the last two axes, fewer of the blocks they stand in. */
static void choose_edges (print_style *s) {
  int n = s->x->ndim;
  for (int i = 0; i < n; i++)
    s->edge[i] = s->x->count <= WHOLE ? s->x->shape[i] : i >= n - 2 ? 6 : i == n - 3 ? 2 : 1;
}

static bool is_cut (const print_style *s, int axis) {
  return s->x->shape[axis] > 2 * s->edge[axis];
}

/* The entry after i of an axis: jumps over what is cut out. */
static int64_t next_entry (const print_style *s, int axis, int64_t i) {
  return is_cut(s, axis) && i + 1 == s->edge[axis] ? s->x->shape[axis] - s->edge[axis] : i + 1;
}

static void for_each_shown (print_style *s, int axis, int64_t at, void *arg,
                            void (*f) (print_style *s, double v, void *arg)) {
  if (axis == s->x->ndim) {
    f(s, element(s->x, at), arg);
    return;
  }
  for (int64_t i = 0; i < s->x->shape[axis]; i = next_entry(s, axis, i))
    for_each_shown(s, axis + 1, at + i * s->x->stride[axis], arg, f);
}

/* --- one format for all --- */

typedef struct { double largest; bool whole; } range;

static void widen_range (print_style *s, double v, void *arg) {
  range *r = arg;
  (void) s;
  if (!isfinite(v)) return;
  if (fabs(v) > r->largest) r->largest = fabs(v);
  r->whole &= v == floor(v);
}

/* Digits behind the point that v needs when it is rounded to s->digits of them. */
static void count_digits (print_style *s, double v, void *arg) {
  char buf[NUMBER];
  int *most = arg;
  if (!isfinite(v)) return;
  write_number(s, v, buf);
  const char *point = strchr(buf, '.'), *end = point ? point : buf;
  for (const char *p = end; *p && *p != 'e'; p++)
    if (*p != '0' && *p != '.') end = p;
  if (point && end - point > *most) *most = (int) (end - point);
}

static void measure (print_style *s, double v, void *arg) {
  char buf[NUMBER];
  (void) arg;
  write_number(s, v, buf);
  int n = (int) strlen(buf);
  if (n > s->width) s->width = n;
}

/* Five significant digits of the largest, none that are zero in every number; an exponent only
   where the largest is beyond a million or below a thousandth. */
static void choose_format (print_style *s) {
  range r = {0, true};
  int most = 0;
  for_each_shown(s, 0, 0, &r, widen_range);
  s->conversion = 'f';
  if (r.largest >= 1e6 ? !r.whole || r.largest >= 1e9 : r.largest > 0 && r.largest < 1e-3)
    s->conversion = 'e';
  if (s->conversion == 'e') s->digits = 4;
  else if (r.whole) s->digits = 0;
  else s->digits = 4 - (int) floor(log10(r.largest));
  if (s->digits < 1 && !r.whole) s->digits = 1;
  for_each_shown(s, 0, 0, &most, count_digits);
  s->digits = most;
  for_each_shown(s, 0, 0, NULL, measure);
}

/* Of a long row only so much that a matrix fits into lines. */
static void fit_columns (print_style *s) {
  int last = s->x->ndim - 1;
  int64_t most = (LINE - 5) / (2 * (s->width + 2));
  if (last > 0 && is_cut(s, last) && s->edge[last] > most) s->edge[last] = most < 2 ? 2 : most;
}

/* --- text --- */

static void add_padded (luaL_Buffer *b, const char *text, int width) {
  for (int n = (int) strlen(text); n < width; n++) luaL_addchar(b, ' ');
  luaL_addstring(b, text);
}

static void add_row (luaL_Buffer *b, const print_style *s, int axis, int64_t at, int line) {
  char buf[NUMBER];
  int column = 0;
  for (int64_t i = 0; i < s->x->shape[axis]; i = next_entry(s, axis, i)) {
    bool gap = is_cut(s, axis) && i == s->x->shape[axis] - s->edge[axis];
    if (column + s->width + 2 > line) {
      luaL_addchar(b, '\n');
      column = 0;
    }
    if (gap) luaL_addstring(b, "  ...");
    write_number(s, element(s->x, at + i * s->x->stride[axis]), buf);
    luaL_addstring(b, "  ");
    add_padded(b, buf, s->width);
    column += s->width + 2 + (gap ? 5 : 0);
  }
}

static void add_matrix (luaL_Buffer *b, const print_style *s, int axis, int64_t at) {
  for (int64_t i = 0; i < s->x->shape[axis]; i = next_entry(s, axis, i)) {
    if (is_cut(s, axis) && i == s->x->shape[axis] - s->edge[axis]) luaL_addstring(b, "\n  ...");
    luaL_addchar(b, '\n');
    add_row(b, s, axis + 1, at + i * s->x->stride[axis], INT32_MAX);
  }
}

/* Blocks under the index a script would write: [2][1] */
static void add_blocks (luaL_Buffer *b, const print_style *s, int axis, int64_t at,
                        int64_t *index) {
  char buf[NUMBER];
  if (axis == s->x->ndim - 2) {
    luaL_addstring(b, "\n");
    for (int i = 0; i < axis; i++) {
      snprintf(buf, sizeof buf, "[%lld]", (long long) index[i] + 1);
      luaL_addstring(b, buf);
    }
    add_matrix(b, s, axis, at);
    return;
  }
  for (int64_t i = 0; i < s->x->shape[axis]; i = next_entry(s, axis, i)) {
    if (is_cut(s, axis) && i == s->x->shape[axis] - s->edge[axis]) luaL_addstring(b, "\n...");
    index[axis] = i;
    add_blocks(b, s, axis + 1, at + i * s->x->stride[axis], index);
  }
}

static int push_number (lua_State *L, const peri_tensor *x) {
  char buf[NUMBER];
  print_style s = {.x = x};
  double v = element(x, 0);
  if (isfinite(v)) snprintf(buf, sizeof buf, "%.*g", sizeof(peri_real) == 4 ? 7 : 15, v);
  else write_number(&s, v, buf);
  lua_pushstring(L, buf);
  return 1;
}

/* __tostring.  The tensor's box stays at stack index 1, which keeps it alive. */
int peri__tensor_text (lua_State *L) {
  char shape[PERI_SHAPETEXT];
  int64_t index[PERI_MAXDIM];
  luaL_Buffer b;
  lua_settop(L, 1);
  if (peri__is_box(L, 1) && !((peri_box *) lua_touserdata(L, 1))->tensor) {
    lua_pushliteral(L, "a tensor whose scope closed");
    return 1;
  }
  const peri_tensor *x = peri__check_tensor(L, 1);
  print_style s = {.x = x};
  if (x->ndim == 0) return push_number(L, x);
  luaL_buffinit(L, &b);
  luaL_addstring(&b, peri_dtype_name((peri_dtype) x->dtype));
  luaL_addchar(&b, ' ');
  luaL_addstring(&b, peri_shape_text(x, shape));
  if (x->count == 0) luaL_addstring(&b, ", no elements");
  else {
    choose_edges(&s);
    choose_format(&s);
    fit_columns(&s);
    if (x->ndim == 1) {
      luaL_addchar(&b, '\n');
      add_row(&b, &s, 0, 0, LINE);
    } else if (x->ndim == 2) {
      add_matrix(&b, &s, 0, 0);
    } else {
      add_blocks(&b, &s, 0, 0, index);
    }
  }
  luaL_pushresult(&b);
  return 1;
}
