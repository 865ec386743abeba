/* Cases of attention and of recurrence, whose shapes depend on each other. */
#include <math.h>
#include <string.h>

#include "cases.h"

/* --- attention --- */

enum { NO_MASK, BYTES, BYTE_ROW, BLIND, ADDED, ADDED_HEAD, ADDED_CONSTANT, INFINITE };

typedef struct {
  const char *name;
  int batch, heads, kheads, tq, tk, d, dv;     /* batch or heads 0: no such axis */
  int mask;
  bool causal;
  double scale;
  test_layout layout[3];
  int how[3];
} attention_case;

static const attention_case small_attention[] = {
  {"plain", 2, 2, 2, 3, 4, 3, 2, NO_MASK, false, 0, {PACKED}, {AS_IS}},
  {"no batch", 0, 0, 0, 3, 4, 2, 2, NO_MASK, false, 0, {PACKED}, {AS_IS}},
  {"one batch axis", 0, 2, 2, 2, 3, 2, 3, NO_MASK, false, 0, {PACKED}, {AS_IS}},
  {"scale", 0, 2, 2, 3, 3, 2, 2, NO_MASK, false, -0.4, {PACKED}, {AS_IS}},
  {"causal", 2, 2, 2, 4, 4, 2, 2, NO_MASK, true, 0, {PACKED}, {AS_IS}},
  {"causal, keys before", 0, 2, 2, 2, 5, 2, 2, NO_MASK, true, 0, {PACKED}, {AS_IS}},
  {"causal, blind rows", 0, 2, 2, 5, 2, 2, 3, NO_MASK, true, 0, {PACKED}, {AS_IS}},
  {"bytes", 2, 2, 2, 3, 4, 2, 2, BYTES, false, 0, {PACKED}, {AS_IS}},
  {"a row of bytes", 2, 2, 2, 3, 4, 2, 2, BYTE_ROW, true, 0, {PACKED}, {AS_IS}},
  {"bytes, a blind row", 0, 2, 2, 3, 4, 2, 2, BLIND, false, 0, {PACKED}, {AS_IS}},
  {"added", 2, 2, 2, 3, 4, 2, 2, ADDED, false, 0, {PACKED}, {AS_IS}},
  {"added to a head, causal", 2, 2, 2, 3, 3, 2, 2, ADDED_HEAD, true, 0, {PACKED}, {AS_IS}},
  {"a constant added", 2, 2, 2, 3, 3, 2, 2, ADDED_CONSTANT, false, 0, {PACKED}, {AS_IS}},
  {"minus infinity added", 0, 2, 2, 3, 3, 2, 2, INFINITE, false, 0, {PACKED}, {AS_IS}},
  {"one head of keys", 2, 3, 1, 2, 3, 2, 2, NO_MASK, false, 0, {PACKED}, {AS_IS}},
  {"transposed", 2, 2, 2, 3, 4, 3, 2, NO_MASK, true, 0,
   {TRANSPOSED, TRANSPOSED, TRANSPOSED}, {AS_IS}},
  {"sliced", 2, 2, 2, 3, 4, 3, 2, NO_MASK, false, 0, {SLICED, SLICED, TRANSPOSED}, {AS_IS}},
  {"views in the graph", 2, 2, 2, 3, 3, 3, 2, NO_MASK, false, 0, {PACKED},
   {VIA_TRANSPOSE, VIA_SLICE, VIA_TRANSPOSE}},
  {"one position", 2, 2, 2, 1, 1, 1, 1, NO_MASK, true, 0, {PACKED}, {AS_IS}},
  {"no queries", 0, 2, 2, 0, 3, 2, 2, NO_MASK, false, 0, {PACKED}, {AS_IS}},
  {"no keys", 0, 2, 2, 3, 0, 2, 2, NO_MASK, false, 0, {PACKED}, {AS_IS}},
  {"no size", 0, 2, 2, 3, 2, 0, 2, NO_MASK, true, 0, {PACKED}, {AS_IS}},
  {"no values", 0, 2, 2, 3, 2, 2, 0, NO_MASK, false, 0, {PACKED}, {AS_IS}},
};

static const attention_case large_attention[] = {
  {"causal", 3, 5, 5, 150, 150, 24, 24, NO_MASK, true, 0, {PACKED}, {AS_IS}},
  {"heads inside", 2, 3, 3, 200, 170, 24, 16, NO_MASK, false, 0,
   {TRANSPOSED, TRANSPOSED, TRANSPOSED}, {AS_IS}},
  {"cut into parts", 0, 0, 0, 700, 300, 16, 16, NO_MASK, false, 0, {PACKED}, {AS_IS}},
  {"causal, cut into parts", 0, 2, 1, 300, 400, 16, 16, NO_MASK, true, 0, {PACKED}, {AS_IS}},
  {"bytes", 2, 2, 2, 130, 140, 8, 8, BYTES, false, 0, {SLICED, PACKED, SLICED}, {AS_IS}},
  {"added", 2, 2, 2, 130, 140, 8, 8, ADDED, false, 0, {PACKED}, {AS_IS}},
};

static peri_dims attention_shape (const attention_case *t, int heads, int rows, int size) {
  if (t->batch) return dims(4, t->batch, heads, rows, size);
  return heads ? dims(3, heads, rows, size) : dims(2, rows, size);
}

static void add_number (builder *b, double x) {
  b->c->base[b->c->nin++] = peri_number(x);
}

static void add_mask (builder *b, const attention_case *t) {
  switch (t->mask) {
    case NO_MASK: add_number(b, 0); return;
    case BYTES: add_condition(b, attention_shape(t, t->heads, t->tq, t->tk), true); return;
    case BYTE_ROW: add_condition(b, dims(1, t->tk), true); return;
    case ADDED_HEAD: add_input(b, dims(3, t->heads, 1, 1), PACKED, AS_IS, true); return;
    case ADDED:
      add_input(b, attention_shape(t, t->heads, t->tq, t->tk), TRANSPOSED, AS_IS, true); return;
    default:
      if (t->mask == BLIND) add_condition(b, dims(2, t->tq, t->tk), true);
      else add_input(b, dims(2, t->tq, t->tk), PACKED, AS_IS, false);
  }
  peri_tensor *mask = b->c->base[b->c->nin - 1];
  if (t->mask == BLIND) memset(mask->data, 0, (size_t) t->tk);
  if (t->mask == INFINITE)
    for (int i = 0; i < t->tk + 1; i++) *element(mask, i) = (peri_real) -INFINITY;
}

bool make_attention (builder *b) {
  const attention_case *t = small_attention;
  size_t count = sizeof small_attention / sizeof *t;
  if (b->sizes == LARGE_SIZES) {
    t = large_attention;
    count = sizeof large_attention / sizeof *t;
  }
  for (size_t i = 0; i < count; i++, t++) {
    if (!wanted(b)) continue;
    add_name(b, "%s", t->name);
    add_input(b, attention_shape(t, t->heads, t->tq, t->d), t->layout[0], t->how[0], true);
    add_input(b, attention_shape(t, t->kheads, t->tk, t->d), t->layout[1], t->how[1], true);
    add_input(b, attention_shape(t, t->kheads, t->tk, t->dv), t->layout[2], t->how[2], true);
    add_mask(b, t);
    if (!strcmp(b->op->name, "attention_grad"))
      add_input(b, attention_shape(t, t->heads, t->tq, t->dv), t->layout[0], AS_IS, true);
    b->c->a.keep = t->causal;
    b->c->a.f[0] = t->scale;
    return true;
  }
  return false;
}

/* --- recurrence --- */

typedef struct {
  const char *name;
  int batch, time, in, hidden, lie;
} recurrent_case;

static const recurrent_case small_recurrent[] = {
  {"plain", 2, 3, 2, 2, 0}, {"one step", 2, 1, 3, 2, 0}, {"transposed", 2, 3, 2, 3, 1},
  {"sliced", 2, 2, 3, 2, 2}, {"views in the graph", 2, 2, 2, 2, 3},
  {"slices in the graph", 1, 3, 2, 2, 4},
  {"one of each", 1, 1, 1, 1, 0}, {"no steps", 2, 0, 3, 2, 0}, {"no sequences", 0, 2, 2, 2, 0},
  {"no inputs", 2, 3, 0, 2, 0}};
static const recurrent_case large_recurrent[] = {
  {"plain", 37, 12, 30, 33, 0}, {"transposed", 70, 9, 21, 40, 1}, {"sliced", 9, 21, 130, 17, 2}};

bool make_recurrent (builder *b) {
  const recurrent_case *t = b->sizes == LARGE_SIZES ? large_recurrent : small_recurrent;
  size_t count = b->sizes == LARGE_SIZES ? sizeof large_recurrent / sizeof *t
                                         : sizeof small_recurrent / sizeof *t;
  bool lstm = !strcmp(b->op->name, "lstm");
  for (size_t i = 0; i < count; i++, t++) {
    if (!wanted(b)) continue;
    int width = (lstm ? 4 : 3) * t->hidden;
    add_name(b, "%s", t->name);
    add_lying(b, dims(3, t->batch, t->time, t->in), t->lie);
    add_lying(b, dims(2, t->batch, t->hidden), t->lie);
    if (lstm) add_lying(b, dims(2, t->batch, t->hidden), t->lie);
    add_lying(b, dims(2, t->in, width), t->lie);
    add_lying(b, dims(2, t->hidden, width), t->lie);
    add_lying(b, dims(1, width), t->lie);
    if (!lstm) add_lying(b, dims(1, width), t->lie);
    return true;
  }
  return false;
}
