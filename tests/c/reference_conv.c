/* Convolution and its adjoints as the one sum they are parts of. */

#include <math.h>
#include <stdlib.h>

#include "reference.h"

/* Every position of a shape in turn; false after the last. */
static bool step (peri_dims shape, int64_t *at) {
  for (int i = shape.n - 1; i >= 0; i--) {
    if (++at[i] < shape.at[i]) return true;
    at[i] = 0;
  }
  return false;
}

static int64_t place (peri_dims shape, const int64_t *at) {
  int64_t p = 0;
  for (int i = 0; i < shape.n; i++) p = p * shape.at[i] + at[i];
  return p;
}

/* Padding in front of an axis, from the definitions of the words. */
static int64_t front (const peri_window *w, int a, int64_t x, int64_t y, int64_t k) {
  int64_t reach = (k - 1) * w->dilation[a] + 1, all = (y - 1) * w->stride[a] + reach - x;
  if (w->padding == PERI_PAD_SAME) return all > 0 ? all / 2 : 0;
  return w->padding == PERI_PAD_CAUSAL ? reach - 1 : w->low[a];
}

typedef struct { peri_dims x, w, y; double *px, *pw, *py; } form;

static double *numbers_of (const peri_tensor *x) {
  double *p = calloc((size_t) (x->count + 1), sizeof *p);
  for (int64_t k = 0; k < x->count; k++) p[k] = value(x, k);
  return p;
}

/* Add every term of the form to one of its arrays: `which` is 0 for x, 1 w, 2 y. */
static void add_terms (const form *f, const peri_window *w, int which) {
  int axes = f->x.n - 2;
  int64_t out = f->y.at[axes + 1] / w->groups, in = f->x.at[axes + 1] / w->groups;
  int64_t o[PERI_MAXDIM] = {0}, k[PERI_MAXDIM] = {0}, i[PERI_MAXDIM] = {0};
  peri_dims taps = f->w;
  taps.n = axes;
  if (peri_count(f->x) == 0 || peri_count(f->y) == 0 || peri_count(f->w) == 0) return;
  do {
    do {
      bool inside = true;
      i[0] = o[0];
      for (int a = 0; a < axes; a++) {
        i[a + 1] = o[a + 1] * w->stride[a] + k[a] * w->dilation[a]
                   - front(w, a, f->x.at[a + 1], f->y.at[a + 1], f->w.at[a]);
        inside &= i[a + 1] >= 0 && i[a + 1] < f->x.at[a + 1];
      }
      if (!inside) continue;
      i[axes + 1] = o[axes + 1] / out * in;
      k[axes] = 0;
      k[axes + 1] = o[axes + 1];
      double *x = f->px + place(f->x, i), *v = f->pw + place(f->w, k), *y = f->py + place(f->y, o);
      for (int64_t c = 0; c < in; c++, x++, v += f->w.at[axes + 1])
        if (which == 0) *x += *v * *y;
        else if (which == 1) *v += *x * *y;
        else *y += *x * *v;
    } while (step(taps, k));
  } while (step(f->y, o));
}

double *reference_conv (const test_case *c, const peri_tensor *result) {
  double *first = numbers_of(c->in[0]), *second = numbers_of(c->in[1]);
  double *z = calloc((size_t) (result->count + 1), sizeof *z);
  peri_dims a = peri_shape_of(c->in[0]), b = peri_shape_of(c->in[1]), r = peri_shape_of(result);
  if (c->op != PERI_OP_conv_weight)
    for (int64_t k = 0; k < result->count; k++)
      z[k] = value(c->in[2], c->in[2]->count == 1 ? 0 : k % r.at[r.n - 1]);
  if (c->op == PERI_OP_conv)
    add_terms(&(form) {a, b, r, first, second, z}, &c->a.window, 2);
  else if (c->op == PERI_OP_conv_transpose)
    add_terms(&(form) {r, b, a, z, second, first}, &c->a.window, 0);
  else
    add_terms(&(form) {a, r, b, first, z, second}, &c->a.window, 1);
  free(first);
  free(second);
  return z;
}

double relative_error (const peri_tensor *got, const double *want) {
  double distance = 0, norm = 0;
  for (int64_t k = 0; k < got->count; k++) {
    double d = value(got, k) - want[k];
    distance += d * d;
    norm += want[k] * want[k];
  }
  return sqrt(distance) / fmax(1e-30, sqrt(norm));
}
