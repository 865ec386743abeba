/* What the bindings of files and system share: paths, results, bytes that Lua frees. */
#ifndef PERIGEE_LHOLD_H
#define PERIGEE_LHOLD_H

#include "lib.h"

/* Argument i as a path: a string that is not empty and has no zero byte. */
const char *peri__check_path (lua_State *L, int i);

/* Empty bytes in a userdata: what C collects while it must not raise, freed by Lua. */
peri_bytes *peri__push_bytes (lua_State *L);

/* What the system refused or a file got wrong is nil, message, code; other failures are raised. */
int peri__refuse (lua_State *L);
/* true, or what peri__refuse does. */
int peri__answer (lua_State *L, peri_status status);

/* Make the metatable `name` with these methods; `close` becomes __gc and __close. */
void peri__make_class (lua_State *L, const char *name, const luaL_Reg *methods,
                       lua_CFunction close);

/* lspawn.c: sys.run */
int peri__spawn (lua_State *L);

#endif
