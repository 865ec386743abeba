/* Scopes of a script, and when Lua's collector is made to run: it does not see tensor memory. */

#include <stdlib.h>

#include "lbox.h"

/* A scope is a userdata that heads a list of boxes. */
typedef struct scope {
  peri_box *boxes;
  struct scope *outer;
  bool open;
} scope;

/* One per state, found through the extra space that Lua copies to every coroutine. */
typedef struct {
  scope *innermost;
  size_t collect_at;            /* live tensor bytes */
  int stress, countdown;        /* collect at every stress-th box */
} memory_state;

static memory_state *state_of (lua_State *L) {
  return *(memory_state **) lua_getextraspace(L);
}

peri_box **peri__open_boxes (lua_State *L) {
  scope *s = state_of(L)->innermost;
  return s ? &s->boxes : NULL;
}

#define FLOOR ((size_t) 256 << 20)

void peri__poll_collector (lua_State *L) {
  memory_state *m = state_of(L);
  if (m->stress && --m->countdown <= 0) {
    m->countdown = m->stress;
    lua_gc(L, LUA_GCCOLLECT);
  }
  if (peri_memory_now().live <= m->collect_at) return;
  lua_gc(L, LUA_GCCOLLECT);
  size_t live = peri_memory_now().live;
  m->collect_at = live + live / 2 > FLOOR ? live + live / 2 : FLOOR;
}

static void leave_chain (lua_State *L, scope *s) {
  scope **p = &state_of(L)->innermost;
  s->open = false;
  while (*p && *p != s) p = &(*p)->outer;
  if (*p) *p = s->outer;
}

static void close_scope (lua_State *L, scope *s) {
  if (!s->open) return;
  leave_chain(L, s);
  while (s->boxes) peri__empty_box(s->boxes);
}

static scope *check_scope (lua_State *L) {
  return luaL_checkudata(L, 1, "perigee.scope");
}

static int l_close (lua_State *L) {
  close_scope(L, check_scope(L));
  return 0;
}

/* A scope lost without being closed empties nothing: the collector may run while an operation holds
   one of its tensors.  They live on until it finds them too. */
static int l_abandon (lua_State *L) {
  scope *s = check_scope(L);
  if (!s->open) return 0;
  leave_chain(L, s);
  for (peri_box *b; (b = s->boxes) != NULL; ) {
    s->boxes = b->next;
    if (b->next) b->next->link = &s->boxes;
    b->link = NULL;
    b->next = NULL;
  }
  return 0;
}

static scope *push_scope (lua_State *L) {
  memory_state *m = state_of(L);
  scope *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (scope) {.boxes = NULL};
  luaL_setmetatable(L, "perigee.scope");
  s->outer = m->innermost;
  s->open = true;
  m->innermost = s;
  return s;
}

/* peri.scope() opens a scope: local scope <close> = peri.scope().  peri.scope(f, ...) calls f in
   one. */
static int l_scope (lua_State *L) {
  int n = lua_gettop(L);
  if (n == 0 || lua_isnil(L, 1)) {
    push_scope(L);
    return 1;
  }
  luaL_checktype(L, 1, LUA_TFUNCTION);
  push_scope(L);
  lua_insert(L, 1);
  lua_toclose(L, 1);
  lua_call(L, n - 1, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

/* peri.memory() */
static int l_memory (lua_State *L) {
  peri_memory m = peri_memory_now();
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, (lua_Integer) m.live);
  lua_setfield(L, -2, "live");
  lua_pushinteger(L, (lua_Integer) m.peak);
  lua_setfield(L, -2, "peak");
  lua_pushinteger(L, (lua_Integer) m.cached);
  lua_setfield(L, -2, "cached");
  lua_pushinteger(L, m.objects);
  lua_setfield(L, -2, "objects");
  return 1;
}

/* peri.threads([n]) sets and returns the number of threads */
static int l_threads (lua_State *L) {
  lua_Integer n = luaL_optinteger(L, 1, 0);
  if (!lua_isnoneornil(L, 1)) {
    if (n < 1 || n > 256) return peri__bad_argument(L, 1, "%d threads; want 1..256", (int) n);
    peri_set_threads((int) n);
  }
  lua_pushinteger(L, peri_threads());
  return 1;
}

/* peri.cpu() */
static int l_cpu (lua_State *L) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, peri_cpu_level());
  lua_setfield(L, -2, "level");
  lua_pushstring(L, peri_cpu_name());
  lua_setfield(L, -2, "name");
  lua_pushstring(L, peri_blas_name());
  lua_setfield(L, -2, "blas");
  lua_pushstring(L, peri_conv_name());
  lua_setfield(L, -2, "convolution");
  return 1;
}

int peri__open_scope (lua_State *L) {
  static const luaL_Reg functions[] = {{"scope", l_scope}, {"memory", l_memory},
    {"threads", l_threads}, {"cpu", l_cpu}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__close", l_close}, {"__gc", l_abandon}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"close", l_close}, {NULL, NULL}};
  const char *stress = getenv("PERIGEE_STRESS_COLLECTOR");
  memory_state *m = lua_newuserdatauv(L, sizeof *m, 0);
  *m = (memory_state) {.collect_at = FLOOR};
  if (stress) m->stress = m->countdown = atoi(stress) > 0 ? atoi(stress) : 16;
  *(memory_state **) lua_getextraspace(L) = m;
  lua_rawsetp(L, LUA_REGISTRYINDEX, (void *) functions);
  luaL_newmetatable(L, "perigee.scope");
  luaL_setfuncs(L, meta, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
