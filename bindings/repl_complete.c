/* Completion of names at the prompt, through tables, their metatables and the methods of tensors.
   Knows no line editor. */

#include <ctype.h>
#include <string.h>

#include "repl.h"

enum { DEPTH = 8 };             /* of __index tables that are followed */

/* Push field `name` of the value on the top in its place; metamethods may load it, or raise. */
static void enter (lua_State *L, const char *name, size_t n) {
  bool indexable = lua_istable(L, -1);
  if (!indexable && luaL_getmetafield(L, -1, "__index") != LUA_TNIL) {
    lua_pop(L, 1);
    indexable = true;
  }
  if (!indexable) {
    lua_pop(L, 1);
    lua_pushnil(L);
    return;
  }
  lua_pushlstring(L, name, n);
  lua_gettable(L, -2);
  lua_remove(L, -2);
}

void peri__push_named (lua_State *L, const char *name, size_t n) {
  lua_pushglobaltable(L);
  while (n > 0 && !lua_isnil(L, -1)) {
    size_t part = 0;
    while (part < n && name[part] != '.' && name[part] != ':') part++;
    enter(L, name, part);
    if (part < n) part++;
    name += part;
    n -= part;
  }
}

static bool is_name (const char *s) {
  if (!isalpha((unsigned char) *s) && *s != '_') return false;
  while (isalnum((unsigned char) *s) || *s == '_') s++;
  return *s == '\0';
}

typedef struct {
  const char *head;             /* what stands before the name that is completed */
  size_t head_size;
  const char *start;            /* of that name */
  bool only_functions;
  int found, seen;              /* stack index of the list, and of the set of those in it */
} completion;

/* Add head .. key for every fitting key of the table on the top. */
static void add_keys (lua_State *L, const completion *c) {
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || (c->only_functions && !lua_isfunction(L, -1))) continue;
    const char *key = lua_tostring(L, -2);
    if (strncmp(key, c->start, strlen(c->start)) != 0 || !is_name(key)) continue;
    if (key[0] == '_' && c->start[0] != '_') continue;
    lua_pushvalue(L, -2);
    if (lua_rawget(L, c->seen) == LUA_TNIL) {
      lua_pushvalue(L, -3);
      lua_pushboolean(L, true);
      lua_rawset(L, c->seen);
      lua_pushlstring(L, c->head, c->head_size);
      lua_pushstring(L, key);
      lua_concat(L, 2);
      lua_rawseti(L, c->found, (lua_Integer) lua_rawlen(L, c->found) + 1);
    }
    lua_pop(L, 1);
  }
}

/* Keys of the value on the top: its own, those of the tables its metatable leads to, what it loads
   on demand (`rooms` of the metatable of peri) and the methods of a tensor (`methods`). */
static void add_all_keys (lua_State *L, const completion *c) {
  static const char *const more[] = {"methods", "rooms"};
  luaL_checkstack(L, 4 * DEPTH + 20, NULL);
  for (int depth = 0; depth < DEPTH; depth++) {
    if (lua_istable(L, -1)) add_keys(L, c);
    if (!lua_getmetatable(L, -1)) return;
    for (int i = 0; i < 2; i++) {
      lua_pushstring(L, more[i]);
      if (lua_rawget(L, -2) == LUA_TTABLE) add_keys(L, c);
      lua_pop(L, 1);
    }
    lua_pushliteral(L, "__index");
    if (lua_rawget(L, -2) != LUA_TTABLE) return;
  }
}

static void sort (lua_State *L, int list) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "table");
  lua_getfield(L, -1, "sort");
  lua_pushvalue(L, list);
  lua_call(L, 1, 0);
  lua_pop(L, 2);
}

int peri__complete (lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n), *start = text + n;
  while (start > text && start[-1] != '.' && start[-1] != ':') start--;
  completion c = {.head = text, .head_size = (size_t) (start - text), .start = start,
                  .only_functions = start > text && start[-1] == ':', .found = 2, .seen = 3};
  lua_settop(L, 1);
  lua_newtable(L);
  lua_newtable(L);
  peri__push_named(L, text, c.head_size);
  add_all_keys(L, &c);
  if (c.head_size == 0 && strncmp("peri", start, strlen(start)) == 0) {      /* not loaded yet */
    lua_pushliteral(L, "peri");
    if (lua_rawget(L, c.seen) == LUA_TNIL) {
      lua_pushliteral(L, "peri");
      lua_rawseti(L, c.found, (lua_Integer) lua_rawlen(L, c.found) + 1);
    }
  }
  sort(L, c.found);
  lua_settop(L, c.found);
  return 1;
}
