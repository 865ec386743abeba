/* How the prompt shows results, and its help.  Prints; computes nothing. */

#include <stdio.h>
#include <string.h>

#include "repl.h"

enum { MOST = 30, NESTED = 3 };         /* entries of a table that are shown, and levels */

/* --- values --- */

static void add_value (lua_State *L, luaL_Buffer *b, int value, int level);

/* The text of the value at an index, of which only the first line fits into a table. */
static void add_text (lua_State *L, luaL_Buffer *b, int value) {
  size_t n;
  const char *s;
  if (lua_type(L, value) == LUA_TSTRING) {
    lua_pushfstring(L, "\"%s\"", lua_tostring(L, value));
    s = lua_tolstring(L, -1, &n);
  } else {
    s = luaL_tolstring(L, value, &n);
  }
  size_t line = strcspn(s, "\n");
  lua_pushlstring(L, s, line < n ? line : n);
  lua_remove(L, -2);
  luaL_addvalue(b);
}

static bool is_plain (lua_State *L, int i) {
  if (!lua_istable(L, i)) return false;
  if (!lua_getmetatable(L, i)) return true;
  lua_pop(L, 1);
  if (luaL_getmetafield(L, i, "__tostring") == LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}

/* String keys of the table at `t`, sorted, in a new table on the top. */
static void push_keys (lua_State *L, int t) {
  lua_newtable(L);
  lua_Integer n = 0;
  for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING) {
      lua_pushvalue(L, -2);
      lua_rawseti(L, -4, ++n);
    }
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "table");
  lua_getfield(L, -1, "sort");
  lua_pushvalue(L, -4);
  lua_call(L, 1, 0);
  lua_pop(L, 2);
}

/* {1, 2, name = 3}: the list, then the names in order. */
static void push_table (lua_State *L, int t, int level) {
  luaL_Buffer b;
  lua_Integer shown = 0, n = (lua_Integer) lua_rawlen(L, t);
  luaL_checkstack(L, 20, NULL);
  push_keys(L, t);
  int keys = lua_gettop(L);
  lua_pushnil(L);                       /* the value in hand */
  int value = lua_gettop(L);
  luaL_buffinit(L, &b);
  luaL_addchar(&b, '{');
  for (lua_Integer i = 1; i <= n && shown < MOST; i++, shown++) {
    if (shown) luaL_addstring(&b, ", ");
    lua_rawgeti(L, t, i);
    lua_replace(L, value);
    add_value(L, &b, value, level + 1);
  }
  lua_Integer names = (lua_Integer) lua_rawlen(L, keys);
  for (lua_Integer i = 1; i <= names && shown < MOST; i++, shown++) {
    if (shown) luaL_addstring(&b, ", ");
    lua_rawgeti(L, keys, i);
    lua_pushvalue(L, -1);
    luaL_addvalue(&b);
    lua_rawget(L, t);
    lua_replace(L, value);
    luaL_addstring(&b, " = ");
    add_value(L, &b, value, level + 1);
  }
  if (shown < n + names) luaL_addstring(&b, ", ...");
  luaL_addchar(&b, '}');
  luaL_pushresult(&b);
  lua_replace(L, keys);
  lua_settop(L, keys);
}

static void add_value (lua_State *L, luaL_Buffer *b, int value, int level) {
  if (!is_plain(L, value)) add_text(L, b, value);
  else if (level == NESTED) luaL_addstring(b, "{...}");
  else {
    push_table(L, value, level);
    luaL_addvalue(b);
  }
}

int peri__show_results (lua_State *L) {
  int n = lua_gettop(L);
  luaL_checkstack(L, 20, "too many results");
  for (int i = 1; i <= n; i++) {
    size_t size;
    if (is_plain(L, i)) push_table(L, i, 0);
    else luaL_tolstring(L, i, NULL);
    const char *s = lua_tolstring(L, -1, &size);
    if (i > 1) fputc(memchr(s, '\n', size) ? '\n' : '\t', stdout);
    fwrite(s, 1, size, stdout);
    lua_pop(L, 1);
  }
  if (n > 0) fputc('\n', stdout);
  return 0;
}

/* --- help --- */

/* The library's help; a name it does not know may be a variable of the session. */
int peri__show_help (lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "perigee.help.prompt");
  lua_call(L, 1, 1);
  lua_pushvalue(L, 1);
  peri__push_named(L, name, strlen(name));
  lua_call(L, 2, 1);
  puts(luaL_checkstring(L, -1));
  return 0;
}
