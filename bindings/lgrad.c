/* Derivatives for scripts: grad, requires_grad, no_grad. */

#include <string.h>

#include "lib.h"

static bool option (lua_State *L, int i, const char *name) {
  if (!lua_istable(L, i)) return false;
  bool on = lua_getfield(L, i, name) != LUA_TNIL && lua_toboolean(L, -1);
  lua_pop(L, 1);
  return on;
}

static void check_options (lua_State *L, int i) {
  if (lua_isnoneornil(L, i)) return;
  luaL_checktype(L, i, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    static const char *const known[] = {"create_graph", "keep_graph", "seed", NULL};
    int k = 0;
    while (known[k] && strcmp(known[k], name) != 0) k++;
    if (!known[k])
      peri__bad_argument(L, i, "unknown option '%s'; use create_graph, keep_graph or seed", name);
  }
}

/* peri.grad(y, {x, ...} [, {create_graph=, keep_graph=, seed=}]) -> gradients in the same order */
static int l_grad (lua_State *L) {
  peri_tensor *y, *seed = NULL;
  bool single = peri__is_box(L, 2);
  if (!single) luaL_checktype(L, 2, LUA_TTABLE);
  check_options(L, 3);
  lua_settop(L, 3);
  int n = single ? 1 : (int) lua_rawlen(L, 2);
  int flags = (option(L, 3, "create_graph") ? PERI_CREATE_GRAPH : 0)
              | (option(L, 3, "keep_graph") ? PERI_KEEP_GRAPH : 0);
  size_t size = (size_t) n + 1;
  peri_tensor **x = lua_newuserdatauv(L, 2 * size * sizeof *x, 0), **dx = x + size;
  peri_box **box = lua_newuserdatauv(L, size * sizeof *box, 0);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    box[i] = peri__push_box(L);
    lua_rawseti(L, -2, i + 1);
  }
  int result = lua_gettop(L);
  /* every allocation is behind us: what is read now stays alive */
  for (int i = 0; i < n; i++) {
    if (single) lua_pushvalue(L, 2);
    else lua_rawgeti(L, 2, i + 1);      /* no metamethod runs any more */
    if (!peri__is_box(L, -1))
      return peri__bad_argument(L, 2, "entry %d is a %s, not a tensor", i + 1, luaL_typename(L, -1));
    x[i] = peri__check_tensor(L, -1);
    lua_pop(L, 1);                                       /* the table keeps it alive */
  }
  y = peri__check_tensor(L, 1);
  if (lua_istable(L, 3) && lua_getfield(L, 3, "seed") != LUA_TNIL) {
    if (!peri__is_box(L, -1)) return peri__bad_argument(L, 3, "seed is no tensor");
    seed = peri__check_tensor(L, lua_gettop(L));
  }
  peri_scope s = peri_scope_open();
  peri_status status = peri_grad(y, seed, n, x, flags, dx);
  for (int i = 0; i < n; i++) peri__fill_box(L, box[i], dx[i]);
  peri_scope_close(s);
  lua_settop(L, result);
  return status ? peri__raise(L) : 1;
}

/* x:requires_grad(true) makes x a leaf and returns it; x:requires_grad() tells */
static int l_requires_grad (lua_State *L) {
  peri_tensor *x = peri__check_tensor(L, 1);
  if (lua_gettop(L) == 1) {
    lua_pushboolean(L, peri_requires_grad(x));
    return 1;
  }
  luaL_checktype(L, 2, LUA_TBOOLEAN);
  if (peri_require_grad(x, lua_toboolean(L, 2))) return peri__raise(L);
  lua_settop(L, 1);
  return 1;
}

/* Restores recording when the call it guards ends, however it ends. */
static int l_restore (lua_State *L) {
  const bool *was = luaL_checkudata(L, 1, "perigee.recording");
  peri_set_recording(*was);
  return 0;
}

/* peri.no_grad(f, ...) returns what f(...) returns; nothing in it is recorded */
static int l_no_grad (lua_State *L) {
  int n = lua_gettop(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  bool *was = lua_newuserdatauv(L, sizeof *was, 0);
  *was = peri_set_recording(true);
  peri_set_recording(*was);
  luaL_setmetatable(L, "perigee.recording");
  lua_insert(L, 1);
  lua_toclose(L, 1);
  peri_set_recording(false);
  lua_call(L, n - 1, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

int peri__open_grad (lua_State *L) {
  static const luaL_Reg functions[] = {{"grad", l_grad}, {"no_grad", l_no_grad},
    {"requires_grad", l_requires_grad}, {NULL, NULL}};
  luaL_newmetatable(L, "perigee.recording");
  lua_pushcfunction(L, l_restore);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
