/* What the binding files share: boxes, arguments, errors, and the opening functions.

   A binding function has four beats, in this order:
     check   arguments (may raise; C owns nothing yet)
     box     push empty boxes for the results (may raise)
     run     pure C, cannot raise
     raise   turn a recorded failure into a Lua error, or into nil, message, code; nothing is in
             flight */
#ifndef PERIGEE_LIB_H
#define PERIGEE_LIB_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "perigee/perigee.h"

/* --- boxes: a userdata that owns one keep, or is empty ------------------------------------- */

typedef struct peri_box {
  uint32_t magic;
  peri_tensor *tensor;                 /* NULL: its scope closed */
  struct peri_box *next, **link;       /* in the list of the scope that empties it */
} peri_box;

peri_box *peri__push_box (lua_State *L);              /* empty; raises when Lua is out of memory */
/* Keep t in the box on the stack; NULL leaves it empty. */
void peri__fill_box (lua_State *L, peri_box *b, peri_tensor *t);
bool peri__is_box (lua_State *L, int i);
/* The tensor of argument i, or an error that says what was passed or that its scope closed. */
peri_tensor *peri__check_tensor (lua_State *L, int i);

/* --- arguments ------------------------------------------------------------------------------- */

/* A shape given as one table {2, 3} at i or as integers from i on; *after is the next argument.
   One size may be -1 where `infer`. */
peri_dims peri__check_shape (lua_State *L, int i, bool infer, int *after);
/* The options of argument i, a table, into w; i = 0: all defaults. */
void peri__check_window (lua_State *L, int i, int stride, peri_window *w);
peri_rng *peri__check_rng (lua_State *L, int i);
/* luaL_argerror with a format. */
int peri__bad_argument (lua_State *L, int i, const char *format, ...);
/* A number as it is, anything else by its type: fit for one line of a message. */
const char *peri__describe (lua_State *L, int i);

/* --- errors ------------------------------------------------------------------------------- */

/* Raise the recorded failure, with the place of the calling Lua line, and clear it. */
int peri__raise (lua_State *L);
/* Return nil, message, code word for the recorded failure, and clear it. */
int peri__push_failure (lua_State *L);

/* --- opening functions: each leaves one table (the part of `peri` it fills) on the stack --- */

int peri__open_tensor (lua_State *L);   /* lbox.c: metatable, construction, conversion */
int peri__open_ops (lua_State *L);      /* lops.c: every row of the table */
int peri__open_grad (lua_State *L);     /* lgrad.c: grad, no_grad, requires_grad */
int peri__open_scope (lua_State *L);    /* lscope.c: scope, keep, memory, collector policy */
int peri__open_random (lua_State *L);   /* lrandom.c: rng */
int peri__open_fused (lua_State *L);    /* lfused.c: peri.fused: optimizer updates */
int peri__open_io (lua_State *L);       /* lio.c: peri.io: hashes, images, logs */
int peri__open_h5 (lua_State *L);       /* lh5.c: peri.h5 */
int peri__open_sys (lua_State *L);      /* lsys.c: peri.sys: files, locks, signals, processes */

/* linit.c: a state with the standard library, strict about bytecode, and `perigee.core`
   preloaded. */
lua_State *peri__new_state (const char *home);

#endif
