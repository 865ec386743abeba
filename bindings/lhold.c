/* What the bindings of files and system share.  Knows no format. */

#include <string.h>

#include "lhold.h"

const char *peri__check_path (lua_State *L, int i) {
  size_t n;
  const char *path = luaL_checklstring(L, i, &n);
  if (n == 0) peri__bad_argument(L, i, "a path cannot be empty");
  if (strlen(path) != n) peri__bad_argument(L, i, "a path cannot contain a zero byte");
  return path;
}

static int l_free_bytes (lua_State *L) {
  peri_bytes_free(lua_touserdata(L, 1));
  return 0;
}

peri_bytes *peri__push_bytes (lua_State *L) {
  peri_bytes *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (peri_bytes) {0};
  if (luaL_newmetatable(L, "perigee.bytes")) {
    lua_pushcfunction(L, l_free_bytes);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return b;
}

int peri__refuse (lua_State *L) {
  peri_status code = peri_error();
  return code == PERI_E_SYSTEM || code == PERI_E_FORMAT ? peri__push_failure(L) : peri__raise(L);
}

int peri__answer (lua_State *L, peri_status status) {
  if (status != PERI_OK) return peri__refuse(L);
  lua_pushboolean(L, true);
  return 1;
}

void peri__make_class (lua_State *L, const char *name, const luaL_Reg *methods,
                       lua_CFunction close) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
}
