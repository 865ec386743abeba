/* Building a case of a row.  A generator counts through its cases and builds the one that is asked
   for: before each it says `if (!wanted(b)) continue;`, then adds inputs, arguments and a name.
   Generators for rows that cases.c cannot derive from a signature are in cases_*.c. */
#ifndef PERIGEE_CASES_H
#define PERIGEE_CASES_H

#include "harness.h"

typedef struct {
  test_case *c;
  int style, left;              /* cases to pass over before the one that is asked for */
  test_sizes sizes;
  const peri_op_info *op;
} builder;

bool wanted (builder *b);
__attribute__((format(printf, 2, 3)))
void add_name (builder *b, const char *format, ...);

/* Shapes written as letters: 0, 1, three axes A B C, a vector V, a matrix product (P M K) (P K N);
   a letter has a small and a large size. */
int64_t size_of (const builder *b, char letter);
peri_dims shape_of (const builder *b, const char *letters);

/* A real input of the row's domain; a leaf when a gradient is taken by it.  `how` is ignored where
   the shape has too few axes for it. */
void add_input (builder *b, peri_dims shape, test_layout layout, int how, bool leaf);
void add_same_input (builder *b);                 /* the last one once more */
/* An index input with entries in 1..size. */
void add_index (builder *b, peri_dims shape, int64_t size, test_layout layout);
/* Zeros and ones, byte or real. */
void add_condition (builder *b, peri_dims shape, bool byte);
/* A leaf in lie 0 (packed), 1 (transposed), 2 (sliced), 3 and 4 (recorded views). */
enum { NLIES = 5 };
void add_lying (builder *b, peri_dims shape, int lie);

/* cases_line.c */
bool make_along_both (builder *b);
bool make_cross_entropy (builder *b);
bool make_cross_entropy_grad (builder *b);
/* cases_sample.c */
bool make_pad (builder *b);
bool make_unpad (builder *b);
bool make_pool (builder *b);
bool make_unpool (builder *b);
bool make_adaptive (builder *b);
bool make_resize (builder *b);
bool make_grid (builder *b);
bool make_ungrid (builder *b);
bool make_roll (builder *b);
bool make_tile (builder *b);
bool make_triangle (builder *b);
bool make_blocks (builder *b);
bool make_topk (builder *b);
bool make_search (builder *b);
/* Generators in files of their own. */
bool make_norm (builder *b);            /* cases_norm.c */
bool make_nade (builder *b);
bool make_gibbs (builder *b);
/* Rows with a shape rule of their own. */
bool make_attention (builder *b);
bool make_recurrent (builder *b);
/* Rows on matrices, in cases_linalg.c. */
bool make_definite (builder *b);
bool make_square (builder *b);
bool make_rectangle (builder *b);
bool make_system (builder *b);
bool make_triangular (builder *b);
bool make_vectors (builder *b);
/* cases_conv.c */
bool make_conv (builder *b);
bool make_conv_transpose (builder *b);
bool make_conv_weight (builder *b);

#endif
