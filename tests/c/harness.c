/* Random tensors, layouts, expectations, and the runner of one test for each row of the table.
   Cases of rows are made in cases.c. */
#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- numbers: splitmix64 (Steele, Lea & Flood 2014) --- */

static uint64_t state;
static int apart;               /* how many numbers were drawn that must differ from each other */

void seed_numbers (uint64_t seed) {
  state = seed;
  apart = 0;
}

static uint64_t next_bits (void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double draw_number (double low, double high) {
  return low + (high - low) * ((double) (next_bits() >> 11) * 0x1p-53);
}

int draw_integer (int low, int high) {
  return low + (int) (next_bits() % (uint64_t) (high - low + 1));
}

static double draw_sign (void) {
  return next_bits() & 1 ? 1 : -1;
}

/* A number of the domain.  APART gives multiples of 0.11 from 0.25 on, each once in a hundred, so
   no step of a difference quotient crosses a tie, a kink at 0, or a bound of another form. */
static double draw_from (peri_domain domain) {
  switch (domain) {
    case PERI_IN_APART: return draw_sign() * (0.25 + 0.11 * (apart++ * 37 % 101));
    case PERI_IN_POSITIVE: return draw_number(0.3, 2.5);
    case PERI_IN_NEGATIVE: return draw_number(-2.5, -0.3);
    case PERI_IN_UNIT: return draw_number(0.05, 0.95);
    case PERI_IN_SMALL: return draw_number(-0.9, 0.9);
    case PERI_IN_NONZERO: return draw_sign() * draw_number(0.4, 2);
    default: return draw_number(-2, 2);
  }
}

/* --- tensors --- */

peri_dims dims (int n, ...) {
  peri_dims d = {.n = n};
  va_list ap;
  va_start(ap, n);
  for (int i = 0; i < n; i++) d.at[i] = va_arg(ap, int);
  va_end(ap);
  return d;
}

/* What a view skips over is filled with what must never be read: NaN, or an index no axis has. */
static peri_tensor *poisoned (peri_dtype type, peri_dims shape) {
  return peri_full(type, shape, type == PERI_REAL ? NAN : type == PERI_INDEX ? 1 << 30 : 77);
}

static peri_tensor *make_layout (peri_dtype type, peri_dims shape, test_layout layout) {
  peri_dims whole = shape, order = shape;
  if (shape.n == 0 || layout == PACKED) return poisoned(type, shape);
  if (layout == TRANSPOSED && shape.n > 1) {
    for (int i = 0; i < shape.n; i++) {
      whole.at[i] = shape.at[shape.n - 1 - i];
      order.at[i] = shape.n - 1 - i;
    }
    return peri_permute(poisoned(type, whole), order);
  }
  for (int i = 0; i < shape.n; i++) whole.at[i] = 2 * shape.at[i] + 1;
  peri_tensor *x = poisoned(type, whole);
  for (int i = 0; i < shape.n; i++) x = peri_slice(x, i, 1, 2 * shape.at[i] + 1, 2);
  return x;
}

peri_tensor *new_tensor (peri_dtype type, peri_dims shape, test_layout layout) {
  bool was = peri_set_recording(false);
  peri_tensor *x = make_layout(type, shape, layout);
  peri_set_recording(was);
  expect_no_failure("making a tensor");
  return x;
}

static int64_t offset_of (const peri_tensor *x, int64_t k) {
  int64_t at = 0;
  for (int i = x->ndim - 1; i >= 0; i--) {
    at += k % x->shape[i] * x->stride[i];
    k /= x->shape[i];
  }
  return at;
}

peri_real *element (const peri_tensor *x, int64_t k) {
  return (peri_real *) x->data + offset_of(x, k);
}

double value (const peri_tensor *x, int64_t k) {
  int64_t at = offset_of(x, k);
  if (x->dtype == PERI_REAL) return (double) ((const peri_real *) x->data)[at];
  if (x->dtype == PERI_INDEX) return ((const int32_t *) x->data)[at];
  return ((const uint8_t *) x->data)[at];
}

void coordinates (peri_dims shape, int64_t k, int64_t *index) {
  for (int i = shape.n - 1; i >= 0; i--) {
    index[i] = k % shape.at[i];
    k /= shape.at[i];
  }
}

peri_tensor *random_tensor (peri_dims shape, peri_domain domain, test_layout layout) {
  peri_tensor *x = new_tensor(PERI_REAL, shape, layout);
  for (int64_t k = 0; k < x->count; k++) *element(x, k) = (peri_real) draw_from(domain);
  return x;
}

/* --- expectations --- */

void expect_no_failure (const char *what) {
  if (!peri_error()) return;
  char text[640];
  snprintf(text, sizeof text, "%s failed: %s", what, peri_message());
  peri_clear();
  fail_msg("%s", text);
}

void expect_failure (peri_status code, ...) {
  char text[640];
  peri_status got = peri_error();
  snprintf(text, sizeof text, "%s", peri_message());
  peri_clear();
  if (got != code)
    fail_msg("want a failure of kind '%s', got '%s' (%s)", peri_status_word(code),
             peri_status_word(got), text);
  if (strchr(text, '\n')) fail_msg("a message of more than one line: %s", text);
  va_list ap;
  va_start(ap, code);
  for (const char *part; (part = va_arg(ap, const char *)) != NULL; )
    if (part[0] == '^' ? strncmp(text, part + 1, strlen(part + 1)) != 0 : !strstr(text, part)) {
      va_end(ap);
      fail_msg("the message does not say '%s': %s", part, text);
    }
  va_end(ap);
}

/* --- one test for each row --- */

static void (*row_test) (peri_opcode op);

static void test_row (void **arg) {
  peri_opcode op = (peri_opcode) (intptr_t) *arg;
  peri_clear();
  peri_fail_allocation(0);
  peri_set_recording(true);
  seed_numbers(1000 + (uint64_t) op);
  int64_t objects = peri_memory_now().objects;
  peri_scope scope = peri_scope_open();
  row_test(op);
  peri_scope_close(scope);
  expect_no_failure(peri_ops[op].name);
  if (peri_memory_now().objects != objects)
    fail_msg("%s: %lld objects leaked", peri_ops[op].name,
             (long long) (peri_memory_now().objects - objects));
}

int run_rows (const char *suite, void (*test) (peri_opcode op)) {
  struct CMUnitTest tests[PERI_NOPS];
  row_test = test;
  for (int i = 0; i < PERI_NOPS; i++)
    tests[i] = (struct CMUnitTest) {.name = peri_ops[i].name, .test_func = test_row,
                                    .initial_state = (void *) (intptr_t) i};
  return cmocka_run_group_tests_name(suite, tests, NULL, NULL);
}
