/* The operations, expanded from ops.def: for each row its number PERI_NAME and its typed function
   peri_NAME.  The result is borrowed from the current scope; NULL in gives NULL out, so a formula
   is written whole and checked once with peri_error.  Axes count from 0, or from the end when
   negative. */
#ifndef PERIGEE_OPS_H
#define PERIGEE_OPS_H

#include "kinds.h"
#include "tensor.h"

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
  int64_t i[3];
  double f[2];
  int axis, other;
  bool keep;
} peri_args;

/* A call as data: how bindings and tests run any row. */
typedef struct {
  peri_opcode op;
  int nin;
  peri_tensor *const *in;
  peri_args a;
} peri_call;

peri_tensor *peri_apply (const peri_call *c);

enum { PERI_READS_X = 1, PERI_READS_Y = 2, PERI_READS_Z = 4, PERI_READS_OUT = 8,
       PERI_NODIFF = 16, PERI_VIEW = 32 };
typedef enum { PERI_IN_REAL, PERI_IN_APART, PERI_IN_POSITIVE, PERI_IN_UNIT, PERI_IN_SMALL,
               PERI_IN_NONZERO } peri_domain;

/* What a row says, for bindings, help and tests. */
typedef struct {
  const char *name, *signature, *doc;
  peri_domain domain;
  int flags;
} peri_op_info;

extern const peri_op_info peri_ops[PERI_NOPS];

#endif
