/* Graph nodes: what a derivative may look at, and what the engine keeps for itself. */
#ifndef PERI_NODE_H
#define PERI_NODE_H

#include "perigee/grad.h"
#include "perigee/ops.h"

typedef struct {
  peri_node *node;      /* what the input was computed by; NULL when it is constant */
  peri_tensor *x;       /* the input itself, when the derivative reads it */
  uint32_t version;     /* of x's storage when it was saved */
  int64_t size;         /* of the input along the call's axis: all that joining needs to know */
} peri_edge;

struct peri_node {
  int ref;
  uint8_t op;           /* PERI_NOPS for a leaf */
  uint8_t consumed, seen, needed, target;
  int nin;
  uint64_t id;          /* counts up, so an input's node has a smaller one */
  peri_dims shape;      /* of the output */
  peri_args a;
  peri_storage *out;    /* the output's storage, when the derivative reads it */
  uint32_t out_version;
  int line;
  const char *source;
  peri_tensor *g;       /* gradient that arrived, during a walk */
  peri_node *link;      /* next in a walk or a tear-down */
  peri_edge in[];
};

/* For derivatives: input i as it was; the output under a fresh handle; is input i's gradient asked
   for? */
#define peri_input(n, i) ((n)->in[i].x)
#define peri_wanted(n, i) ((n)->in[i].node && (n)->in[i].node->needed)
peri_tensor *peri_output (const peri_node *n);
/* Shape of input i, whose gradient is wanted. */
#define peri_input_shape(n, i) ((n)->in[i].node->shape)

/* Give y the node of call c when recording and some input is tracked.  false with a failure. */
bool peri__record (const peri_call *c, int flags, peri_tensor *y);
void peri__node_drop (peri_node *n);

/* One row of the table, as the runtime sees it. */
typedef struct {
  peri_tensor *(*forward) (const peri_call *c);
  void (*vjp) (const peri_node *n, peri_tensor *g, peri_tensor **dx);
} peri_op_code;
extern const peri_op_code peri__code[PERI_NOPS];

#define PERI_ROW_(name, params, args, sig, domain, flags, doc) \
  peri_tensor *peri__##name##_forward (const peri_call *c); \
  void peri__##name##_vjp (const peri_node *n, peri_tensor *g, peri_tensor **dx);
#include "perigee/ops.def"
#undef PERI_ROW_

/* Handles.  peri__wrap makes one over storage (which it references), borrowed from the scope. */
peri_tensor *peri__wrap (peri_storage *s, peri_dtype type, peri_dims shape);
void peri__storage_drop (peri_storage *s);

#endif
