/* A Lua state as scripts get it: the standard library, text chunks only, strict globals, the
   incremental collector, and `perigee.core` ready to be required. */

#include <dlfcn.h>
#include <string.h>

#include "lbox.h"

/* Copy the fields of the table on the top into the one below, and pop it. */
static void merge (lua_State *L) {
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -6);
  }
  lua_pop(L, 1);
}

/* core.h5 is loaded from the module beside the program when it is first mentioned.  Its path is
   compiled in, like that of the library: asking /proc for it fails where that is not mounted. */
static int l_open_room (lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "h5") != 0) return 0;
  void *module = dlopen(PERI_H5_MODULE, RTLD_NOW | RTLD_LOCAL);
  lua_CFunction open = NULL;
  if (module) *(void **) &open = dlsym(module, "peri__open_h5");
  if (!open) return luaL_error(L, "peri.h5: %s", dlerror());
  lua_settop(L, 2);
  open(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, 1);
  return 1;
}

static int l_open_core (lua_State *L) {
  static const lua_CFunction parts[] = {peri__open_scope, peri__open_tensor, peri__open_ops,
    peri__open_grad, peri__open_random};
  static const struct { const char *name; lua_CFunction open; } rooms[] = {
    {"fused", peri__open_fused}, {"io", peri__open_io}, {"sys", peri__open_sys}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    parts[i](L);
    merge(L);
  }
  for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
    rooms[i].open(L);
    lua_setfield(L, -2, rooms[i].name);
  }
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_open_room);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pushliteral(L, PERIGEE_VERSION);
  lua_setfield(L, -2, "version");
  lua_getfield(L, -1, "requires_grad");             /* a method, made by lgrad.c */
  lua_rawgetp(L, LUA_REGISTRYINDEX, peri__box_key);
  lua_getfield(L, -1, "methods");
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "requires_grad");
  lua_pop(L, 3);
  return 1;
}

/* load, loadfile and dofile take text only: precompiled chunks can crash the interpreter. */
static int l_load_text (lua_State *L) {
  int n = lua_gettop(L);
  lua_settop(L, n < 2 ? 2 : n);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  int mode = (int) lua_tointeger(L, lua_upvalueindex(2)) + 1;
  while (lua_gettop(L) < mode) lua_pushnil(L);
  lua_pushliteral(L, "t");
  lua_replace(L, mode);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static void text_only (lua_State *L, const char *name, int mode) {
  lua_getglobal(L, name);
  lua_pushinteger(L, mode);
  lua_pushcclosure(L, l_load_text, 2);
  lua_setglobal(L, name);
}

/* `peri` is loaded when it is first mentioned, so one-liners need no require. */
static int l_undeclared (lua_State *L) {
  if (lua_gettop(L) == 2 && lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "peri") == 0) {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "perigee");
    lua_call(L, 1, 1);
    return 1;
  }
  luaL_tolstring(L, 2, NULL);
  return luaL_error(L, "variable '%s' is not declared; write `local %s` or check its spelling",
                    lua_tostring(L, -1), lua_tostring(L, -1));
}

/* Reading or setting an undeclared global is an error; functions of the standard library are
   declared. */
static void be_strict (lua_State *L) {
  lua_pushglobaltable(L);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, l_undeclared);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_undeclared);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

/* HOME/lua/?.lua before what Lua would look for; no C libraries. */
static void set_path (lua_State *L, const char *home) {
  lua_getglobal(L, "package");
  lua_pushfstring(L, "%s/lua/?.lua;%s/lua/?/init.lua;./?.lua", home, home);
  lua_setfield(L, -2, "path");
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "cpath");
  lua_pushstring(L, home);
  lua_setfield(L, -2, "home");
  lua_pop(L, 1);
}

static int l_init (lua_State *L) {
  const char *home = lua_touserdata(L, 1);
  luaL_openlibs(L);
  /* Incremental: generational mode starves finalizers.  A dead box outlives one cycle, to be
     finalized, and counts as live then, so a pause of 200 % or more lets the heap drift upwards
     without end. */
  lua_gc(L, LUA_GCINC, 150, 400, 0);
  set_path(L, home);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, l_open_core);
  lua_setfield(L, -2, "perigee.core");
  text_only(L, "load", 3);
  text_only(L, "loadfile", 2);
  be_strict(L);
  return 0;
}

lua_State *peri__new_state (const char *home) {
  lua_State *L = luaL_newstate();
  if (!L) return NULL;
  lua_pushcfunction(L, l_init);
  lua_pushlightuserdata(L, (void *) home);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lua_close(L);
    return NULL;
  }
  return L;
}
