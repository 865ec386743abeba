/* What the files that make boxes and empty them share. */
#ifndef PERIGEE_LBOX_H
#define PERIGEE_LBOX_H

#include "lib.h"

extern const char *const peri__box_key;          /* of the metatable in the registry; field `methods` */

void peri__empty_box (peri_box *b);
/* The list of the innermost open scope, or NULL (lscope.c). */
peri_box **peri__open_boxes (lua_State *L);
/* A full collection when tensors have grown enough since the last (lscope.c). */
void peri__poll_collector (lua_State *L);
/* __tostring (lprint.c). */
int peri__tensor_text (lua_State *L);

#endif
