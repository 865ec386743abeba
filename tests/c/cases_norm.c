/* Cases of normalisations, of the autoregressive estimator and of the Gibbs step. */
#include <stdio.h>
#include <string.h>

#include "cases.h"

typedef struct {
  const char *name;
  peri_dims small, large;
  int groups, lie;
  bool numbers;                 /* w and b are numbers, not one a channel */
  double eps;
  int constant;                 /* bits of the inputs that want no gradient: x, w, b */
} norm_case;

/* Large sizes take every way through the kernels: rows in several chunks, entries of a batch in one
   piece and in many, narrow rows in tiles, more channels than a block of columns. */
static const norm_case norms[] = {
  {"plain", {2, {5, 6}}, {2, {1500, 96}}, 2, 0, false, 0.1, 0},
  {"small eps", {2, {5, 6}}, {2, {333, 250}}, 2, 0, false, 1e-5, 0},
  {"three axes", {3, {2, 3, 4}}, {3, {9, 300, 64}}, 2, 0, false, 0.1, 0},
  {"image", {4, {2, 2, 3, 4}}, {4, {2, 67, 35, 40}}, 4, 0, false, 0.1, 0},
  {"one group", {3, {2, 4, 3}}, {3, {3, 1111, 30}}, 1, 0, false, 0.1, 0},
  {"narrow rows", {3, {1, 7, 3}}, {3, {1, 30011, 3}}, 3, 0, false, 0.1, 0},
  {"wide rows", {3, {1, 3, 8}}, {3, {2, 70, 1030}}, 2, 0, false, 0.1, 0},
  {"a group of 17", {3, {1, 2, 17}}, {3, {12, 50, 34}}, 1, 0, false, 0.3, 0},
  {"transposed", {3, {2, 3, 4}}, {3, {4, 500, 40}}, 2, 1, false, 0.1, 0},
  {"sliced", {3, {2, 3, 4}}, {3, {4, 500, 40}}, 2, 2, false, 0.1, 0},
  {"transposed view", {3, {2, 3, 4}}, {3, {4, 500, 40}}, 2, 3, false, 0.1, 0},
  {"sliced view", {3, {2, 3, 4}}, {3, {4, 500, 40}}, 2, 4, false, 0.1, 0},
  {"w and b numbers", {3, {2, 3, 4}}, {3, {4, 500, 40}}, 2, 0, true, 0.1, 0},
  {"x alone", {3, {2, 3, 4}}, {3, {4, 500, 40}}, 2, 0, true, 0.1, 6},
  {"w alone", {3, {2, 3, 4}}, {3, {4, 500, 40}}, 2, 0, false, 0.1, 5},
  {"b alone", {3, {2, 3, 4}}, {3, {4, 500, 40}}, 2, 0, false, 0.1, 3},
  {"one row", {2, {1, 6}}, {2, {1, 60001}}, 1, 0, false, 0.5, 0},
  {"one channel", {2, {6, 1}}, {2, {60001, 1}}, 1, 0, false, 0.5, 0},
  {"one number", {3, {1, 1, 1}}, {3, {1, 1, 1}}, 1, 0, false, 0.5, 0},
  {"no rows", {3, {2, 0, 4}}, {3, {2, 0, 4}}, 2, 0, false, 0.1, 0},
  {"no batch", {3, {0, 2, 4}}, {3, {0, 2, 4}}, 2, 0, false, 0.1, 0},
};

static void add_norm (builder *b, const norm_case *t, int over) {
  const char *row = b->op->name;
  peri_dims x = b->sizes == LARGE_SIZES ? t->large : t->small;
  peri_dims w = {.n = 1, .at = {x.at[x.n - 1]}};
  bool grad = !strcmp(row, "norm_grad"), rms = !strcmp(row, "rms_norm");
  static const test_layout layouts[] = {PACKED, TRANSPOSED, SLICED, PACKED, PACKED};
  static const int hows[] = {AS_IS, AS_IS, AS_IS, VIA_TRANSPOSE, VIA_SLICE};
  add_name(b, "%s", t->name);
  if (t->numbers) w.n = 0;
  b->c->a.f[0] = t->eps;
  b->c->a.i[0] = t->groups;
  b->c->a.mode = over;
  if (grad) {
    add_name(b, ", over %d", over);
    add_input(b, x, PACKED, t->lie ? VIA_TRANSPOSE : AS_IS, true);
  }
  add_input(b, x, layouts[t->lie], hows[t->lie], !(t->constant & 1));
  if (!strcmp(row, "batch_moments")) return;
  add_input(b, w, t->lie == 2 ? SLICED : PACKED, t->lie == 4 ? VIA_SLICE : AS_IS,
            !(t->constant & 2));
  if (!grad && !rms) add_input(b, w, PACKED, AS_IS, !(t->constant & 4));
}

bool make_norm (builder *b) {
  const char *row = b->op->name;
  bool grad = !strcmp(row, "norm_grad"), moments = !strcmp(row, "batch_moments");
  for (size_t i = 0; i < sizeof norms / sizeof norms[0]; i++) {
    const norm_case *t = &norms[i];
    if (moments && (t->constant || t->small.at[0] * t->small.at[t->small.n - 2] == 0)) continue;
    if (!strcmp(row, "rms_norm") && (t->constant & 3) == 3) continue;
    for (int over = 0; over < (grad ? 4 : 1); over++) {
      if (!wanted(b)) continue;
      add_norm(b, t, over);
      return true;
    }
  }
  return false;
}

typedef struct {
  const char *name;
  int small[3], large[3];       /* batch, visible, hidden */
  int lie, constant;            /* bits of the inputs that want no gradient */
  bool binary;                  /* x holds zeros and ones */
} nade_case;

static const nade_case nades[] = {
  {"plain", {3, 5, 4}, {21, 60, 150}, 0, 0, false},
  {"zeros and ones", {3, 6, 4}, {21, 60, 150}, 0, 1, true},
  {"many samples", {9, 3, 2}, {70, 11, 64}, 0, 0, false},
  {"transposed", {3, 4, 5}, {21, 60, 65}, 1, 0, false},
  {"sliced", {3, 4, 5}, {21, 60, 65}, 2, 0, false},
  {"transposed view", {3, 4, 5}, {21, 60, 65}, 3, 0, false},
  {"sliced view", {3, 4, 5}, {21, 60, 65}, 4, 0, false},
  {"weights alone", {2, 4, 3}, {5, 60, 65}, 0, 21, false},
  {"x alone", {2, 4, 3}, {5, 60, 65}, 0, 30, false},
  {"one sample", {1, 4, 3}, {1, 200, 300}, 0, 0, false},
  {"one visible", {3, 1, 4}, {3, 1, 400}, 0, 0, false},
  {"one hidden", {3, 4, 1}, {300, 40, 1}, 0, 0, false},
  {"no samples", {0, 4, 3}, {0, 4, 3}, 0, 0, false},
  {"none visible", {3, 0, 4}, {3, 0, 4}, 0, 0, false},
  {"none hidden", {3, 4, 0}, {3, 4, 0}, 0, 0, false},
};

bool make_nade (builder *b) {
  const char *row = b->op->name;
  bool grad = !strcmp(row, "nade_grad");
  static const test_layout layouts[] = {PACKED, TRANSPOSED, SLICED, PACKED, PACKED};
  static const int hows[] = {AS_IS, AS_IS, AS_IS, VIA_TRANSPOSE, VIA_SLICE};
  for (size_t i = 0; i < sizeof nades / sizeof nades[0]; i++)
    for (int by_x = 0; by_x < (grad ? 2 : 1); by_x++) {
      const nade_case *t = &nades[i];
      const int *size = b->sizes == LARGE_SIZES ? t->large : t->small;
      peri_dims x = dims(2, size[0], size[1]), w = dims(2, size[1], size[2]);
      test_layout layout = layouts[t->lie];
      int how = hows[t->lie], c = t->constant;
      if (!wanted(b)) continue;
      add_name(b, "%s%s", t->name, by_x ? ", by x" : "");
      b->c->a.keep = by_x;
      if (grad) add_input(b, x, PACKED, how, true);
      if (t->binary) add_condition(b, x, false);
      else add_input(b, x, layout, how, !(c & 1));
      add_input(b, w, layout, how, !(c & 2));
      if (!grad) add_input(b, dims(1, size[1]), layout, how, !(c & 4));
      add_input(b, w, layout, how, !(c & 8));
      add_input(b, dims(1, size[2]), layout, how, !(c & 16));
      return true;
    }
  return false;
}

bool make_gibbs (builder *b) {
  static const struct { const char *name, *x, *w, *b, *u; test_layout layout; } list[] = {
    {"plain", "MK", "KN", "N", "MN", PACKED}, {"transposed", "MK", "KN", "N", "MN", TRANSPOSED},
    {"sliced", "MK", "KN", "N", "MN", SLICED}, {"three axes", "PMK", "KN", "N", "PMN", PACKED},
    {"one row", "1K", "KN", "N", "1N", PACKED}, {"vector", "K", "KN", "N", "N", PACKED},
    {"no rows", "0K", "KN", "N", "0N", PACKED}, {"none out", "MK", "K0", "0", "M0", PACKED}};
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
    if (!wanted(b)) continue;
    add_name(b, "%s", list[i].name);
    add_input(b, shape_of(b, list[i].x), list[i].layout, AS_IS, false);
    add_input(b, shape_of(b, list[i].w), list[i].layout, AS_IS, false);
    add_input(b, shape_of(b, list[i].b), list[i].layout, AS_IS, false);
    add_input(b, shape_of(b, list[i].u), list[i].layout, AS_IS, false);
    return true;
  }
  return false;
}
