/* The operations, expanded from ops.def: for each row its number PERI_NAME and its typed function
   peri_NAME.  The result is borrowed from the current scope; NULL in gives NULL out, so a formula
   is written whole and checked once with peri_error.  Axes count from 0, or from the end when
   negative. */
#ifndef PERIGEE_OPS_H
#define PERIGEE_OPS_H

#include "kinds.h"
#include "tensor.h"

/* How a filter moves over the spatial axes of (batch, spatial.., channel): up to three of them. */
typedef enum { PERI_PAD_GIVEN, PERI_PAD_SAME, PERI_PAD_CAUSAL } peri_padding;
typedef struct {
  int32_t size[3];                  /* of the filter, or of the result; 0: worked out */
  int32_t stride[3], dilation[3];   /* a pooling's stride of 0: its size */
  int32_t low[3], high[3];          /* zeros in front and behind, where padding is PERI_PAD_GIVEN */
  int32_t extra[3];                 /* output padding of a transposed convolution */
  int32_t groups;
  uint8_t padding;                  /* a peri_padding */
  uint8_t listed;                   /* entries of the lists it was given as; 0: numbers for all axes */
} peri_window;
#define PERI_WINDOW_ONE {.stride = {1, 1, 1}, .dilation = {1, 1, 1}, .groups = 1}

#define PERI_OP(name, kind, domain, flags, doc) PERI_ROW(name, PERI_##kind, PERI_IN_##domain, flags, doc)
#define PERI_ROW(...) PERI_ROW_(__VA_ARGS__)     /* a second look, so that the kind becomes columns */

typedef enum {
#define PERI_ROW_(name, params, args, sig, domain, flags, doc) PERI_OP_##name,
#include "ops.def"
#undef PERI_ROW_
  PERI_NOPS
} peri_opcode;

#define PERI_ROW_(name, params, args, sig, domain, flags, doc) peri_tensor *peri_##name params;
#include "ops.def"
#undef PERI_ROW_

/* Everything an operation can be told besides its inputs. */
typedef struct {
  peri_dims dims;       /* shape or axes */
  int64_t i[4];
  double f[3];
  int axis, other;
  int mode;             /* which of the words of its signature */
  bool keep;
  peri_window window;
} peri_args;

/* A call as data: how bindings and tests run any row. */
typedef struct {
  peri_opcode op;
  int nin;
  peri_tensor *const *in;
  peri_args a;
} peri_call;

peri_tensor *peri_apply (const peri_call *c);

/* While a profile is on, calls of this thread are counted and timed, each without the calls it makes
   itself.  Turning it on starts from zero. */
typedef struct { int64_t calls; double seconds; } peri_op_time;
void peri_profile (bool on);
peri_op_time peri_profile_of (peri_opcode op);

/* What a derivative reads: inputs 1 to 6 and the output. */
enum { PERI_READS_X = 1, PERI_READS_Y = 2, PERI_READS_Z = 4, PERI_READS_U = 8, PERI_READS_V = 16,
       PERI_READS_W = 32, PERI_READS_OUT = 64, PERI_NODIFF = 128, PERI_VIEW = 256 };
enum { PERI_MAXINPUT = 6 };         /* of a call that is not a list */
typedef enum { PERI_IN_REAL, PERI_IN_APART, PERI_IN_POSITIVE, PERI_IN_NEGATIVE,
               PERI_IN_UNIT, PERI_IN_SMALL, PERI_IN_NONZERO } peri_domain;

/* What a row says, for bindings, help and tests. */
typedef struct {
  const char *name, *signature, *doc;
  peri_domain domain;
  int flags;
} peri_op_info;

extern const peri_op_info peri_ops[PERI_NOPS];

#endif
