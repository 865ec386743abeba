/* What the C suites share: random tensors on a domain and a layout, and calls of any row of the table
   built from nothing but its signature.  Holds no expectations: those are in the suites. */
#ifndef PERIGEE_HARNESS_H
#define PERIGEE_HARNESS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "perigee/perigee.h"

/* --- numbers, independent of the runtime's own generator ------------------------------------- */

void seed_numbers (uint64_t seed);
double draw_number (double low, double high);
int draw_integer (int low, int high);              /* both included */

/* --- tensors ------------------------------------------------------------------------------------ */

/* How a tensor of a given shape lies in memory. */
typedef enum { PACKED, TRANSPOSED, SLICED, NLAYOUTS } test_layout;

peri_dims dims (int n, ...);                        /* int sizes */
/* Uninitialised, untracked, laid out as asked; without axes every layout is PACKED. */
peri_tensor *new_tensor (peri_dtype type, peri_dims shape, test_layout layout);
peri_tensor *random_tensor (peri_dims shape, peri_domain domain, test_layout layout);
/* Element k in the order of the shape, whatever the strides. */
peri_real *element (const peri_tensor *x, int64_t k);
double value (const peri_tensor *x, int64_t k);     /* of any dtype */
void coordinates (peri_dims shape, int64_t k, int64_t *index);

/* --- calls of any row ----------------------------------------------------------------------------- */

enum { MAXLEAVES = 6 };

typedef struct {
  char name[96];                       /* what is special about it */
  peri_opcode op;
  int nin;
  peri_tensor *in[MAXLEAVES];          /* as the row gets them, after `how` */
  peri_tensor *base[MAXLEAVES];        /* as they were made */
  enum { AS_IS, VIA_TRANSPOSE, VIA_SLICE } how[MAXLEAVES];   /* a recorded view between the two */
  peri_args a;
  int nleaves;
  peri_tensor *leaf[MAXLEAVES];        /* those a derivative is taken by */
} test_case;

/* Sizes of the axes in cases: small for differences, large to be split into chunks. */
typedef enum { SMALL_SIZES, LARGE_SIZES } test_sizes;

/* Case `number` of a row, borrowed from the current scope; false when there are no more.  A row that
   shares its signature with rows of another shape rule (matmul and add) has a style: find_style.
   Fails the running test when the signature is of a kind no generator knows. */
bool make_case (peri_opcode op, int style, int number, test_sizes sizes, test_case *c);
int find_style (peri_opcode op);
/* Run it: the views are made anew, so a graph consumed before does not matter. */
peri_tensor *run_case (test_case *c);
bool has_derivative (peri_opcode op);

/* --- expectations ------------------------------------------------------------------------------------ */

/* The failure recorded has this code and its one-line message contains every text up to NULL; a text
   "^..." begins it. */
void expect_failure (peri_status code, ...);
void expect_no_failure (const char *what);

/* Runs a suite of one test for each row; `objects` are counted around every test. */
int run_rows (const char *suite, void (*test) (peri_opcode op));

#endif
