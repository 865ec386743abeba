/* Cases of any row, from its signature alone: a new row of an existing kind needs nothing here.
   A generator counts through its cases and builds the one that is asked for. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

/* The signature a kind has in kinds.h. */
#define THIRD_(params, args, signature) signature
#define THIRD(...) THIRD_(__VA_ARGS__)
#define SIGNATURE(kind) THIRD(PERI_##kind)

bool wanted (builder *b) {
  return b->left-- == 0;
}

void add_name (builder *b, const char *format, ...) {
  size_t n = strlen(b->c->name);
  va_list ap;
  va_start(ap, format);
  vsnprintf(b->c->name + n, sizeof b->c->name - n, format, ap);
  va_end(ap);
}

/* --- shapes, written as letters: 0, 1, three axes A B C, a vector V,
  a matrix product (P M K) (P K N) --- */

int64_t size_of (const builder *b, char letter) {
  static const struct { char letter; int small, large; } sizes[] = {
    {'0', 0, 0}, {'1', 1, 1}, {'A', 2, 37}, {'B', 3, 41}, {'C', 4, 29}, {'V', 11, 70001},
    {'P', 2, 3}, {'Q', 3, 2}, {'M', 3, 150}, {'K', 4, 500}, {'N', 2, 170}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    if (sizes[i].letter == letter)
      return b->sizes == LARGE_SIZES ? sizes[i].large : sizes[i].small;
  return -1;
}

peri_dims shape_of (const builder *b, const char *letters) {
  peri_dims d = {.n = 0};
  for (; *letters; letters++) d.at[d.n++] = size_of(b, *letters);
  return d;
}

/* --- inputs --- */

/* A real input; `how` is ignored where the shape has too few axes for it. */
void add_input (builder *b, peri_dims shape, test_layout layout, int how, bool leaf) {
  test_case *c = b->c;
  int i = c->nin++, last = shape.n - 1;
  if (how == VIA_TRANSPOSE && shape.n > 1) {
    int64_t size = shape.at[last];
    shape.at[last] = shape.at[last - 1];
    shape.at[last - 1] = size;
  } else if (how == VIA_SLICE && shape.n > 0) {
    shape.at[last] = 2 * shape.at[last] + 1;
  } else {
    how = AS_IS;
  }
  c->how[i] = how;
  c->base[i] = random_tensor(shape, b->op->domain, layout);
  if (leaf) c->leaf[c->nleaves++] = c->base[i];
}

void add_same_input (builder *b) {
  test_case *c = b->c;
  int i = c->nin++;
  c->base[i] = c->base[i - 1];
  c->how[i] = c->how[i - 1];
}

void add_index (builder *b, peri_dims shape, int64_t size, test_layout layout) {
  test_case *c = b->c;
  peri_tensor *x = new_tensor(PERI_INDEX, shape, layout);
  bool was = peri_set_recording(false);
  for (int64_t k = 0; k < x->count; k++) {
    int64_t at = 0, rest = k;
    for (int i = x->ndim - 1; i >= 0; i--) {
      at += rest % x->shape[i] * x->stride[i];
      rest /= x->shape[i];
    }
    ((int32_t *) x->data)[at] = draw_integer(1, (int) size);
  }
  peri_set_recording(was);
  c->base[c->nin++] = x;
}

void add_condition (builder *b, peri_dims shape, bool byte) {
  peri_tensor *x = new_tensor(byte ? PERI_BYTE : PERI_REAL, shape, PACKED);
  for (int64_t k = 0; k < x->count; k++) {
    int on = draw_integer(0, 1);
    if (byte) ((uint8_t *) x->data)[k] = (uint8_t) on;
    else ((peri_real *) x->data)[k] = (peri_real) on;
  }
  b->c->base[b->c->nin++] = x;
}

/* --- tensors that broadcast, and the numbers, axes and switches that follow them --- */

typedef struct {
  const char *name, *shape[3];
  test_layout layout[3];
  int how[3];
  int constant;                 /* bits of the inputs that want no gradient */
  bool alias;                   /* the second input is the first */
} tuple;

#define PLAIN {PACKED, PACKED, PACKED}, {AS_IS, AS_IS, AS_IS}

static const tuple elementwise[] = {
  {"plain", {"BC", "BC", "BC"}, PLAIN, 0, false},
  {"three axes", {"ABC", "ABC", "ABC"}, PLAIN, 0, false},
  {"vector", {"V", "V", "V"}, PLAIN, 0, false},
  {"transposed", {"ABC", "ABC", "ABC"}, {TRANSPOSED, PACKED, SLICED}, {AS_IS}, 0, false},
  {"sliced", {"ABC", "ABC", "ABC"}, {SLICED, TRANSPOSED, PACKED}, {AS_IS}, 0, false},
  {"views in the graph", {"ABC", "ABC", "ABC"}, {PACKED},
   {VIA_TRANSPOSE, VIA_SLICE, VIA_TRANSPOSE}, 0, false},
  {"sliced view in the graph", {"BC", "C", "BC"}, {PACKED},
   {VIA_SLICE, AS_IS, VIA_TRANSPOSE}, 0, false},
  {"row and column", {"BC", "C", "B1"}, PLAIN, 0, false},
  {"column and row", {"B1", "1C", "C"}, PLAIN, 0, false},
  {"fewer axes", {"C", "ABC", "B1"}, PLAIN, 0, false},
  {"strided broadcast", {"ABC", "B1", "BC"}, {TRANSPOSED, SLICED, TRANSPOSED}, {AS_IS}, 0, false},
  {"size-1 axes", {"1B1", "A1C", "11"}, PLAIN, 0, false},
  {"number behind", {"BC", "", "BC"}, PLAIN, 0, false},
  {"number in front", {"", "BC", "C"}, PLAIN, 0, false},
  {"numbers", {"", "", ""}, PLAIN, 0, false},
  {"empty", {"0C", "0C", "C"}, PLAIN, 0, false},
  {"empty last", {"C0", "1", "C0"}, PLAIN, 0, false},
  {"empty by broadcasting", {"0C", "1C", ""}, PLAIN, 0, false},
  {"first alone", {"BC", "BC", "C"}, PLAIN, 6, false},
  {"second alone", {"BC", "C", "BC"}, PLAIN, 5, false},
  {"third alone", {"C", "BC", "BC"}, PLAIN, 3, false},
  {"the same twice", {"BC", "BC", "BC"}, PLAIN, 0, true},
};

/* Products of matrices: the other shape rule of two tensors. */
static const tuple matrices[] = {
  {"plain", {"MK", "KN"}, PLAIN, 0, false},
  {"first transposed", {"MK", "KN"}, {TRANSPOSED, PACKED}, {AS_IS}, 0, false},
  {"second transposed", {"MK", "KN"}, {PACKED, TRANSPOSED}, {AS_IS}, 0, false},
  {"both transposed", {"MK", "KN"}, {TRANSPOSED, TRANSPOSED}, {AS_IS}, 0, false},
  {"sliced", {"MK", "KN"}, {SLICED, SLICED}, {AS_IS}, 0, false},
  {"batch", {"PMK", "PKN"}, PLAIN, 0, false},
  {"batch, strided", {"PMK", "PKN"}, {TRANSPOSED, SLICED}, {AS_IS}, 0, false},
  {"batch by a matrix", {"PMK", "KN"}, PLAIN, 0, false},
  {"transposed batch by a matrix", {"PMK", "KN"}, {TRANSPOSED, TRANSPOSED}, {AS_IS}, 0, false},
  {"matrix by a batch", {"MK", "PKN"}, PLAIN, 0, false},
  {"batch of one", {"1MK", "PKN"}, PLAIN, 0, false},
  {"two batch axes", {"P1MK", "QKN"}, PLAIN, 0, false},
  {"views in the graph", {"MK", "PKN"}, {PACKED}, {VIA_TRANSPOSE, VIA_TRANSPOSE}, 0, false},
  {"sliced views in the graph", {"PMK", "KN"}, {PACKED}, {VIA_SLICE, VIA_SLICE}, 0, false},
  {"row", {"1K", "KN"}, PLAIN, 0, false},
  {"column", {"MK", "K1"}, PLAIN, 0, false},
  {"inner product", {"1K", "K1"}, PLAIN, 0, false},
  {"outer product", {"M1", "1N"}, PLAIN, 0, false},
  {"nothing between", {"M0", "0N"}, PLAIN, 0, false},
  {"batch, nothing between", {"PM0", "0N"}, PLAIN, 0, false},
  {"no columns", {"PMK", "K0"}, PLAIN, 0, false},
  {"no rows", {"0K", "KN"}, PLAIN, 0, false},
  {"no batch", {"0MK", "KN"}, PLAIN, 0, false},
  {"first alone", {"PMK", "KN"}, PLAIN, 2, false},
  {"second alone", {"PMK", "KN"}, PLAIN, 1, false},
  {"the same twice", {"MM", "MM"}, PLAIN, 0, true},
};

static const tuple affine[] = {
  {"plain", {"MK", "KN", "N"}, PLAIN, 0, false},
  {"vector", {"K", "KN", "N"}, PLAIN, 0, false},
  {"three axes", {"PMK", "KN", "N"}, PLAIN, 0, false},
  {"transposed", {"MK", "KN", "N"}, {TRANSPOSED, TRANSPOSED, SLICED}, {AS_IS}, 0, false},
  {"three axes transposed", {"PMK", "KN", "N"}, {TRANSPOSED, PACKED, PACKED}, {AS_IS}, 0, false},
  {"sliced", {"PMK", "KN", "N"}, {SLICED, SLICED, SLICED}, {AS_IS}, 0, false},
  {"views in the graph", {"PMK", "KN", "N"}, {PACKED},
   {VIA_TRANSPOSE, VIA_TRANSPOSE, VIA_SLICE}, 0, false},
  {"one row", {"1K", "KN", "N"}, PLAIN, 0, false},
  {"one in", {"M1", "1N", "N"}, PLAIN, 0, false},
  {"one out", {"MK", "K1", "1"}, PLAIN, 0, false},
  {"no rows", {"0K", "KN", "N"}, PLAIN, 0, false},
  {"none in", {"PM0", "0N", "N"}, PLAIN, 0, false},
  {"none out", {"PMK", "K0", "0"}, PLAIN, 0, false},
  {"vector alone", {"K", "KN", "N"}, PLAIN, 6, false},
  {"x alone", {"MK", "KN", "N"}, PLAIN, 6, false},
  {"w alone", {"MK", "KN", "N"}, PLAIN, 5, false},
  {"b alone", {"PMK", "KN", "N"}, PLAIN, 3, false},
  {"b a number", {"MK", "KN", ""}, PLAIN, 0, false},
};

static void add_tuple (builder *b, const tuple *t, int n) {
  add_name(b, "%s", t->name);
  for (int i = 0; i < n; i++) {
    if (t->alias && i == 1) add_same_input(b);
    else add_input(b, shape_of(b, t->shape[i]), t->layout[i], t->how[i], !(t->constant >> i & 1));
  }
}

/* What follows the tensors of a signature, in order. */
typedef struct { char type; const char *start; } parameter;

static int parameters (const char *signature, parameter *p) {
  int n = 0;
  for (const char *s = strchr(signature, ':'); s; s = strchr(s + 1, ':'))
    p[n++] = (parameter) {s[1], s + 1};
  return n;
}

/* A number near its default that is not the default; bounds that some inputs are outside of. */
static double choose_number (const char *start, int variant) {
  const char *equals = strpbrk(start, "= ");
  double d = equals && *equals == '=' ? strtod(equals + 1, NULL) : 0.7;
  if (variant == 0) return d;
  return isinf(d) ? (d < 0 ? -0.75 : 0.85) : 0.6 * d + 0.1;
}

static int words_in (const char *start) {
  int n = 1;
  for (; *start && *start != ' '; start++) n += *start == '|';
  return n;
}

/* Fill the arguments from `choice`, a number in mixed radix; false when it is past the last.  Axis
   `empty` (none when negative) is left alone: what its largest element is, a row may not say. */
static bool choose_arguments (builder *b, const parameter *p, int n, int ndim, int empty,
                              int choice) {
  peri_args *a = &b->c->a;
  int naxes = 0, nnumbers = 0, nintegers = 0;
  for (int i = 0; i < n; i++) {
    int radix = 1, digit;
    if (p[i].type == 'a') radix = 2 * ndim;
    else if (p[i].type == 'A') radix = 1 << ndim;
    else if (strchr("fkn", p[i].type)) radix = 2;
    else if (p[i].type == 'm') radix = words_in(p[i].start);
    if (radix == 0) return false;
    digit = choice % radix;
    choice /= radix;
    if (p[i].type == 'a') {
      int axis = digit - ndim;
      if (empty >= 0 && digit % ndim == empty) axis = -1 - empty;      /* another one, of two */
      *(naxes++ ? &a->other : &a->axis) = axis;
      add_name(b, ", axis %d", axis);
    } else if (p[i].type == 'A') {             /* a set; every second one counted from the end */
      int set = empty >= 0 ? 2 >> empty : digit;
      for (int k = ndim - 1; k >= 0; k--)
        if (set >> k & 1) a->dims.at[a->dims.n++] = set & 1 ? k : k - ndim;
      add_name(b, ", axes %x", set);
    } else if (p[i].type == 'f') {
      a->f[nnumbers++] = choose_number(p[i].start, digit);
      add_name(b, ", %.3g", a->f[nnumbers - 1]);
    } else if (p[i].type == 'm') {
      a->mode = digit;
      add_name(b, ", word %d", digit);
    } else if (p[i].type == 'n') {             /* the default and the next */
      a->i[nintegers++] = (int64_t) choose_number(p[i].start, 0) + digit;
      add_name(b, ", %d", (int) a->i[nintegers - 1]);
    } else if (p[i].type == 'k') {
      a->keep = digit;
      add_name(b, digit ? ", keep" : "");
    }
  }
  return choice == 0;
}

static int longest (const tuple *t, int n) {
  int ndim = 0;
  for (int i = 0; i < n; i++)
    if ((int) strlen(t->shape[i]) > ndim) ndim = (int) strlen(t->shape[i]);
  return ndim;
}

static bool from_tuples (builder *b, const tuple *t, size_t count, int tensors) {
  parameter p[16];
  int n = parameters(b->op->signature, p);
  for (size_t i = 0; i < count; i++, t++) {
    int empty = -1;
    int all = (1 << tensors) - 1;
    if ((t->constant & all) == all || (tensors == 1 && t->constant)) continue;
    if (t->alias && (tensors == 1 || b->op->domain == PERI_IN_APART)) continue;
    for (int k = 0; k < tensors; k++)
      if (strchr(t->shape[k], '0')) empty = (int) (strchr(t->shape[k], '0') - t->shape[k]);
    for (int choice = 0; ; choice++) {
      peri_args saved = b->c->a;
      size_t length = strlen(b->c->name);
      bool more = choose_arguments(b, p, n, longest(t, tensors), empty, choice);
      if (more && wanted(b)) {
        char arguments[sizeof b->c->name];
        snprintf(arguments, sizeof arguments, "%s", b->c->name + length);
        b->c->name[length] = 0;
        add_tuple(b, t, tensors);
        add_name(b, "%s", arguments);
        return true;
      }
      b->c->a = saved;
      b->c->name[length] = 0;
      if (!more) break;
    }
  }
  return false;
}

#define FROM(table, tensors) from_tuples(b, table, sizeof table / sizeof table[0], tensors)

/* --- kinds whose numbers must fit the shape --- */

static const struct { test_layout layout; int how; const char *name; } lies[NLIES] = {
  {PACKED, AS_IS, ""}, {TRANSPOSED, AS_IS, ", transposed"}, {SLICED, AS_IS, ", sliced"},
  {PACKED, VIA_TRANSPOSE, ", a view in the graph"}, {PACKED, VIA_SLICE, ", a slice in the graph"}};

void add_lying (builder *b, peri_dims shape, int lie) {
  add_input(b, shape, lies[lie].layout, lies[lie].how, true);
  add_name(b, "%s", lies[lie].name);
}

/* A letter stands for its size, '-' for -1, and a pair of letters in brackets for their product. */
static peri_dims target_of (const builder *b, const char *s) {
  peri_dims d = {.n = 0};
  for (; *s; s++) {
    if (*s == '(') {
      int64_t size = 1;
      for (s++; *s != ')'; s++) size *= size_of(b, *s);
      d.at[d.n++] = size;
    } else {
      d.at[d.n++] = size_of(b, *s);
    }
  }
  return d;
}

static bool make_shape (builder *b) {
  static const struct { int style; const char *from, *to; } list[] = {
    {0, "ABC", "(AB)C"}, {0, "ABC", "-"}, {0, "ABC", "C-A"}, {0, "ABC", "A1BC1"}, {0, "1B1", "B"},
    {0, "ABC", "ABC"}, {0, "", "11"}, {0, "11", ""}, {0, "0C", "C0"}, {0, "V", "V1"},
    {1, "1C", "BC"}, {1, "C", "ABC"}, {1, "B1", "ABC"}, {1, "1B1", "AB1"}, {1, "", "BC"},
    {1, "BC", "BC"},
    {1, "B1", "A-C"}, {1, "1C", "0C"}, {1, "11", "BC"}};
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
    for (int lie = 0; lie < NLIES; lie++) {
      if (list[i].style != b->style || (lie && strlen(list[i].from) < 2) || !wanted(b)) continue;
      add_name(b, "%s to %s", list[i].from, list[i].to);
      b->c->a.dims = target_of(b, list[i].to);
      add_lying(b, shape_of(b, list[i].from), lie);
      return true;
    }
  return false;
}

static bool make_axes (builder *b) {
  static const int orders[][3] = {
    {1, 2, 0}, {0, 1, 2}, {2, 1, 0}, {-1, 0, -2}, {0, 2, 1}, {-2, -3, -1}};
  if (wanted(b)) {
    add_name(b, "no axes");
    add_input(b, shape_of(b, ""), PACKED, AS_IS, true);
    return true;
  }
  for (int i = 0; i < 6; i++)
    for (int lie = 0; lie < NLIES; lie++) {
      if (!wanted(b)) continue;
      add_name(b, "order %d %d %d", orders[i][0], orders[i][1], orders[i][2]);
      b->c->a.dims = dims(3, orders[i][0], orders[i][1], orders[i][2]);
      add_lying(b, shape_of(b, i == 3 ? "1BC" : "ABC"), lie);
      return true;
    }
  return false;
}

static bool make_range (builder *b) {
  static const struct { int front, back, step; } ranges[] = {
    {0, 0, 1}, {1, 0, 1}, {0, 1, 1}, {1, 0, 2}, {0, 0, 3}, {1, 1, 1}, {-1, -1, 1}};
  for (int axis = -3; axis < 3; axis++)
    for (int i = 0; i < 7; i++)
      for (int lie = 0; lie < NLIES; lie++) {
        if (!wanted(b)) continue;
        peri_dims shape = shape_of(b, "CBA");
        int64_t size = shape.at[axis < 0 ? axis + 3 : axis];
        int64_t start = ranges[i].front < 0 ? size : ranges[i].front;     /* -1: empty */
        int64_t stop = ranges[i].back < 0 ? size : size - ranges[i].back;
        b->c->a.axis = axis;
        b->c->a.i[0] = start;
        b->c->a.i[1] = stop < start ? start : stop;
        b->c->a.i[2] = ranges[i].step;
        add_name(b, "axis %d, %d..%d by %d", axis, (int) start, (int) b->c->a.i[1], ranges[i].step);
        add_lying(b, shape, lie);
        return true;
      }
  return false;
}

static bool make_insert (builder *b) {
  static const struct { int front, back, step; } ranges[] = {
    {0, 0, 1}, {1, 2, 1}, {2, 0, 2}, {0, 1, 3}};
  static const char *const shapes[] = {"ABC", "1B1", "0BC"};
  for (int s = 0; s < 3; s++)
    for (int axis = -3; axis < 3; axis++)
      for (int i = 0; i < 4; i++)
        for (int lie = 0; lie < NLIES; lie++) {
          if (!wanted(b)) continue;
          peri_dims shape = shape_of(b, shapes[s]);
          int64_t n = shape.at[axis < 0 ? axis + 3 : axis];
          int64_t reach = n > 0 ? (n - 1) * ranges[i].step + 1 : 0;
          b->c->a.axis = axis;
          b->c->a.i[0] = ranges[i].front;
          b->c->a.i[1] = ranges[i].step;
          b->c->a.i[2] = ranges[i].front + reach + ranges[i].back;
          add_name(b, "%s, axis %d, from %d by %d", shapes[s], axis, ranges[i].front,
                   ranges[i].step);
          add_lying(b, shape, lie);
          return true;
        }
  return false;
}

/* Style 0: sizes differ along the axis; style 1: all equal. */
static bool make_list (builder *b) {
  static const char *const first[] = {"ABC", "1BC", "0BC"};
  for (int s = 0; s < 3; s++)
    for (int axis = -3; axis < 3; axis++)
      for (int count = 3; count > 0; count--) {
        if (!wanted(b)) continue;
        peri_dims shape = shape_of(b, first[s]);
        b->c->a.axis = axis;
        add_name(b, "%d of %s, axis %d", count, first[s], axis);
        for (int i = 0; i < count; i++) {
          add_input(b, shape, (test_layout) i, i == 0 ? VIA_SLICE : AS_IS, i != 2);
          if (b->style == 0) shape.at[axis < 0 ? axis + 3 : axis]++;
        }
        return true;
      }
  return false;
}

/* Style 0: an index of one axis; style 1: an index of x's shape but for the axis. */
static bool make_indexed (builder *b, bool place) {
  static const char *const shapes[] = {"ABC", "1BC", "C"};
  const int lengths[] = {b->sizes == LARGE_SIZES ? 997 : 5, 1, 0};
  for (int s = 0; s < 3; s++)
    for (int lie = 0; lie < NLIES; lie++)
      for (int l = 0; l < 3; l++)
        for (int axis = -3; axis < 3; axis++) {
          int length = lengths[l];
          peri_dims shape = shape_of(b, shapes[s]);
          if (axis < -shape.n || axis >= shape.n || (lie && s) || !wanted(b)) continue;
          int at = axis < 0 ? axis + shape.n : axis;
          int64_t size = shape.at[at];
          peri_dims index = shape;
          if (b->style == 0) index = (peri_dims) {.n = 1};
          index.at[b->style == 0 ? 0 : at] = length;
          add_name(b, "%s, axis %d, %d places", shapes[s], axis, length);
          b->c->a.axis = axis;
          if (place) {                         /* x has `length` entries that go to `size` places */
            shape.at[at] = length;
            b->c->a.i[0] = size;
          }
          add_lying(b, shape, lie);
          add_index(b, index, size, (test_layout) (lie % NLAYOUTS));
          return true;
        }
  return false;
}

static bool make_classes (builder *b) {
  static const char *const shapes[] = {"BC", "", "0C", "V"};
  for (int s = 0; s < 4; s++)
    for (test_layout layout = PACKED; layout < NLAYOUTS; layout++) {
      if (!wanted(b)) continue;
      add_name(b, "%s", shapes[s]);
      b->c->a.i[0] = 5;
      add_index(b, shape_of(b, shapes[s]), 5, layout);
      return true;
    }
  return false;
}

static bool make_select (builder *b) {
  for (size_t i = 0; i < 2 * sizeof elementwise / sizeof elementwise[0]; i++) {
    const tuple *t = &elementwise[i / 2];
    if (t->alias || t->constant || !wanted(b)) continue;
    add_name(b, "%s, %s condition: ", t->name, i % 2 ? "real" : "byte");
    add_condition(b, shape_of(b, t->shape[2]), i % 2 == 0);
    for (int k = 0; k < 2; k++)
      add_input(b, shape_of(b, t->shape[k]), t->layout[k], t->how[k], true);
    return true;
  }
  return false;
}

/* --- all kinds --- */

/* Rows whose shapes a signature does not tell, and what makes their cases. */
static const struct { const char *row; bool (*make) (builder *b); } special[] = {
  {"softmax_grad", make_along_both}, {"log_softmax_grad", make_along_both},
  {"cross_entropy", make_cross_entropy}, {"cross_entropy_grad", make_cross_entropy_grad},
  {"pad", make_pad},
  {"unpad", make_unpad},
  {"max_pool", make_pool},
  {"argmax_pool", make_pool},
  {"avg_pool", make_pool},
  {"avg_unpool", make_unpool},
  {"adaptive_max_pool", make_adaptive},
  {"adaptive_argmax_pool", make_adaptive},
  {"adaptive_avg_pool", make_adaptive},
  {"resize", make_resize},
  {"unresize", make_resize},
  {"grid_sample", make_grid},
  {"grid_spread", make_ungrid},
  {"roll", make_roll},
  {"tile", make_tile},
  {"tril", make_triangle},
  {"triu", make_triangle},
  {"space_to_depth", make_blocks},
  {"depth_to_space", make_blocks},
  {"topk", make_topk},
  {"argtopk", make_topk},
  {"searchsorted", make_search},
  {"layer_norm", make_norm}, {"rms_norm", make_norm}, {"group_norm", make_norm},
  {"batch_norm", make_norm}, {"norm_grad", make_norm}, {"batch_moments", make_norm},
  {"nade", make_nade}, {"nade_grad", make_nade}, {"nade_sample", make_nade}, {"gibbs", make_gibbs},
  {"attention", make_attention}, {"attention_grad", make_attention},
  {"lstm", make_recurrent}, {"gru", make_recurrent},
  {"cholesky", make_definite}, {"sqrtm", make_definite}, {"eigvalsh", make_definite},
  {"eigh_packed", make_definite}, {"inverse", make_square}, {"logdet", make_square},
  {"det_sign", make_square}, {"qr_q", make_rectangle}, {"svdvals", make_rectangle},
  {"svd_packed", make_rectangle}, {"diagonal", make_rectangle}, {"trace", make_rectangle},
  {"solve", make_system}, {"lyapunov", make_system}, {"solve_triangular", make_triangular},
  {"diag_embed", make_vectors},
  {"conv", make_conv},
  {"conv_transpose", make_conv_transpose},
  {"conv_weight", make_conv_weight},
  {NULL, NULL},
};

static bool build (builder *b) {
  const char *s = b->op->signature;
  for (int i = 0; special[i].row; i++)
    if (!strcmp(b->op->name, special[i].row)) return b->style == 0 && special[i].make(b);
  if (!strcmp(s, SIGNATURE(SELECT))) return b->style == 0 && make_select(b);
  if (!strcmp(s, SIGNATURE(AFFINE)) || !strcmp(s, SIGNATURE(DENSE)))
    return b->style == 0 && FROM(affine, 3);
  if (!strcmp(s, SIGNATURE(SHAPE))) return make_shape(b);
  if (!strcmp(s, SIGNATURE(AXES))) return b->style == 0 && make_axes(b);
  if (!strcmp(s, SIGNATURE(RANGE))) return b->style == 0 && make_range(b);
  if (!strcmp(s, SIGNATURE(INSERT))) return b->style == 0 && make_insert(b);
  if (!strcmp(s, SIGNATURE(LIST))) return make_list(b);
  if (!strcmp(s, SIGNATURE(PICK))) return make_indexed(b, false);
  if (!strcmp(s, SIGNATURE(PLACE))) return make_indexed(b, true);
  if (!strcmp(s, SIGNATURE(CLASSES))) return b->style == 0 && make_classes(b);
  int tensors = 0;
  for (const char *p = strchr(s, ':'); p; p = strchr(p + 1, ':')) {
    if (strchr("tu", p[1])) tensors++;
    else if (!strchr("afAkmn", p[1])) tensors = 99;
  }
  if (tensors < 1 || tensors > 3)
    fail_msg("%s: no generator for the signature \"%s\"; add one to cases.c", b->op->name, s);
  if (b->style == 0) return FROM(elementwise, tensors);
  return b->style == 1 && tensors == 2 && FROM(matrices, 2);
}

bool make_case (peri_opcode op, int style, int number, test_sizes sizes, test_case *c) {
  memset(c, 0, sizeof *c);
  c->op = op;
  builder b = {.c = c, .style = style, .left = number, .sizes = sizes, .op = &peri_ops[op]};
  seed_numbers(7919 * (uint64_t) op + (uint64_t) number);
  if (!build(&b)) return false;
  for (int i = 0; i < c->nleaves; i++)
    if (has_derivative(op)) peri_require_grad(c->leaf[i], true);
  expect_no_failure("making a case");
  return true;
}

peri_tensor *run_case (test_case *c) {
  for (int i = 0; i < c->nin; i++) {
    peri_tensor *x = c->base[i];
    if (c->how[i] == VIA_TRANSPOSE) x = peri_transpose(x, -2, -1);
    if (c->how[i] == VIA_SLICE) x = peri_slice(x, -1, 1, x->shape[x->ndim - 1], 2);
    c->in[i] = x;
  }
  return peri_apply(&(peri_call) {.op = c->op, .nin = c->nin, .in = c->in, .a = c->a});
}

bool has_derivative (peri_opcode op) {
  return !(peri_ops[op].flags & PERI_NODIFF);
}

int find_style (peri_opcode op) {
  test_case c;
  char text[256] = "it has no cases";
  for (int style = 0; style < 2; style++) {
    peri_scope scope = peri_scope_open();
    bool accepted = make_case(op, style, 0, SMALL_SIZES, &c) && run_case(&c);
    if (peri_error()) snprintf(text, sizeof text, "%s", peri_message());
    peri_clear();
    peri_scope_close(scope);
    if (accepted) return style;
  }
  fail_msg("%s refuses the first case of every style: %s", peri_ops[op].name, text);
  return 0;
}
