/* Bias and activation in one pass over the rows of a product. */

#include "kernel/epilogue.h"

#include <string.h>

#include "kernel/vector.h"

/* Formulas as in op/activation.c. */
#define IDENTITY(x) (x)
#define RELU(x) vmax(x, zero)
#define LEAKY_RELU(x) vselect((x) > 0, x, a * (x))
#define TANH(x) vtanh(x)
#define SIGMOID(x) (1 / (1 + vexp(-(x))))

/* The rest of a row is padded, so that a value never depends on where it stands. */
#define LOOP(L, name, formula) \
  PERI__TARGET_##L static void name##_##L (int64_t rows, int64_t n, const peri_real *b, \
                                           double slope, peri_real *y, int64_t step) { \
    typedef real_##L V; \
    const int64_t W = sizeof(V) / sizeof(peri_real), whole = n / W * W; \
    const size_t rest = (size_t) (n - whole) * sizeof(peri_real); \
    const V zero = {0}, a = zero + (peri_real) slope; \
    (void) zero, (void) a; \
    for (; rows > 0; rows--, y += step) { \
      V x, c; \
      for (int64_t i = 0; i < whole; i += W) { \
        memcpy(&x, y + i, sizeof x); \
        memcpy(&c, b + i, sizeof c); \
        x = formula((x + c)); \
        memcpy(y + i, &x, sizeof x); \
      } \
      if (!rest) continue; \
      x = c = zero; \
      memcpy(&x, y + whole, rest); \
      memcpy(&c, b + whole, rest); \
      x = formula((x + c)); \
      memcpy(y + whole, &x, rest); \
    } \
  }

#define LEVELS(name, formula) \
  LOOP(v2, name, formula) \
  LOOP(v3, name, formula) \
  LOOP(v4, name, formula)

LEVELS(relu, RELU)
LEVELS(leaky_relu, LEAKY_RELU)
LEVELS(tanh_, TANH)
LEVELS(sigmoid, SIGMOID)
LEVELS(identity, IDENTITY)

typedef void loop (int64_t, int64_t, const peri_real *, double, peri_real *, int64_t);

/* Rows shorter than a vector are taken SHORT at a time, as one row with the bias repeated. */
enum { SHORT = 16 };

static int64_t take_short_rows (loop *f, int64_t rows, int64_t n, const peri_real *b, double slope,
                                peri_real *y) {
  peri_real repeated[SHORT * SHORT];
  for (int64_t i = 0; i < SHORT; i++) memcpy(repeated + i * n, b, (size_t) n * sizeof *b);
  f(rows / SHORT, SHORT * n, repeated, slope, y, SHORT * n);
  return rows / SHORT * SHORT;
}

void peri__epilogue (peri__act act, int64_t rows, int64_t n, const peri_real *b, double slope,
                     peri_real *y, int64_t step) {
  static loop *const loops[][3] = {
    {relu_v2, relu_v3, relu_v4}, {leaky_relu_v2, leaky_relu_v3, leaky_relu_v4},
    {tanh__v2, tanh__v3, tanh__v4}, {sigmoid_v2, sigmoid_v3, sigmoid_v4},
    {identity_v2, identity_v3, identity_v4}};
  loop *f = loops[act][peri__cpu_level()];
  int64_t done = n < SHORT && step == n ? take_short_rows(f, rows, n, b, slope, y) : 0;
  f(rows - done, n, b, slope, y + done * step, step);
}
