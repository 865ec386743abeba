/* Cases of rows on the matrices in the last two axes.  A matrix is a rising diagonal and noise: well
   conditioned, its eigenvalues and singular values set apart, positive definite but not symmetric. */
#include <string.h>

#include "cases.h"

/* Letters: N rows, K fewer columns, B matrices, 0 and 1 themselves. */
static peri_dims sizes_of (const builder *b, const char *letters) {
  bool large = b->sizes == LARGE_SIZES;
  peri_dims d = {.n = 0};
  for (; *letters; letters++)
    d.at[d.n++] = *letters == 'N' ? (large ? 33 : 3) : *letters == 'K' ? (large ? 21 : 2)
                : *letters == 'B' ? (large ? 70 : 2) : *letters - '0';
  return d;
}

/* The input that was added last, as the row gets it. */
static peri_tensor *as_given (const test_case *c) {
  int i = c->nin - 1;
  peri_tensor *x = c->base[i];
  bool was = peri_set_recording(false);
  if (c->how[i] == VIA_TRANSPOSE) x = peri_transpose(x, -2, -1);
  if (c->how[i] == VIA_SLICE) x = peri_slice(x, -1, 1, x->shape[x->ndim - 1], 2);
  peri_set_recording(was);
  return x;
}

/* The diagonal begins with `first`, its signs alternate when that is negative. */
static void add_matrix (builder *b, peri_dims shape, int lie, double first) {
  add_lying(b, shape, lie);
  peri_tensor *x = as_given(b->c);
  int64_t columns = shape.at[shape.n - 1], size = shape.at[shape.n - 2] * columns;
  for (int64_t k = 0; k < x->count; k++) {
    int64_t r = k % size / columns, c = k % columns;
    double value = draw_number(-0.3, 0.3);
    if (r == c) value += first > 0 ? first + (double) r : (r % 2 ? -1 : 1) * ((double) r - first);
    *element(x, k) = (peri_real) value;
  }
}

static bool from_shapes (builder *b, const char *const *shapes, int n, double first) {
  for (int s = 0; s < n; s++)
    for (int lie = 0; lie < NLIES; lie++) {
      if ((lie && s > 1) || !wanted(b)) continue;
      add_name(b, "%s", shapes[s]);
      add_matrix(b, sizes_of(b, shapes[s]), lie, first);
      return true;
    }
  return false;
}

static const char *const squares[] = {"NN", "BNN", "11", "B1BKK", "00", "B00", "0NN", "B11"};
enum { NSQUARES = sizeof squares / sizeof squares[0] };

bool make_definite (builder *b) { return from_shapes(b, squares, NSQUARES, 2); }
bool make_square (builder *b) { return from_shapes(b, squares, NSQUARES, -1.5); }

bool make_rectangle (builder *b) {
  static const char *const shapes[] = {"NK", "BKN", "NN", "BNK", "1N", "N1", "11", "0K", "K0", "BN0",
                                       "0NK", "B1BKN"};
  return from_shapes(b, shapes, sizeof shapes / sizeof shapes[0], 1.5);
}

bool make_vectors (builder *b) {
  static const char *const shapes[] = {"N", "BN", "B1K", "1", "0", "B0", "0N"};
  for (int s = 0; s < 7; s++)
    for (int lie = 0; lie < NLIES; lie++) {
      if ((lie && s > 1) || !wanted(b)) continue;
      add_name(b, "%s", shapes[s]);
      add_lying(b, sizes_of(b, shapes[s]), lie);
      return true;
    }
  return false;
}

/* A square matrix and right sides; those of lyapunov are square. */
bool make_system (builder *b) {
  static const char *const systems[][2] = {
    {"NN", "NK"}, {"BNN", "BNK"}, {"BNN", "NK"}, {"NN", "BN1"}, {"B1NN", "BNK"}, {"11", "1K"},
    {"NN", "N0"}, {"00", "0K"}, {"0NN", "NK"}};
  bool square = !strcmp(b->op->name, "lyapunov");
  double first = square ? 2 : -1.5;
  if (square) {
    for (int s = 0; s < NSQUARES; s++)
      for (int lie = 0; lie < NLIES; lie++) {
        if ((lie && s > 1) || !wanted(b)) continue;
        add_name(b, "%s", squares[s]);
        add_matrix(b, sizes_of(b, squares[s]), lie, first);
        add_lying(b, sizes_of(b, squares[s]), (lie + 1) % NLIES);
        return true;
      }
    return false;
  }
  for (size_t s = 0; s < sizeof systems / sizeof systems[0]; s++)
    for (int lie = 0; lie < NLIES; lie++) {
      if ((lie && s > 1) || !wanted(b)) continue;
      add_name(b, "%s by %s", systems[s][0], systems[s][1]);
      add_matrix(b, sizes_of(b, systems[s][0]), lie, first);
      add_lying(b, sizes_of(b, systems[s][1]), (lie + 2) % NLIES);
      return true;
    }
  return false;
}

/* The four triangles; the right sides are what make_system takes. */
bool make_triangular (builder *b) {
  for (int form = 0; form < 4; form++) {
    if (make_system(b)) {
      b->c->a.keep = form & 1;
      b->c->a.i[0] = form >> 1;
      add_name(b, ", %s%s", form & 1 ? "lower" : "upper", form >> 1 ? ", transposed" : "");
      return true;
    }
  }
  return false;
}
