/* sys.run: another program with its input and both outputs, without a shell.  The pipes are drained
   together, so neither side can wait for the other for ever. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lhold.h"

/* The pipes of one program; -1 where closed.  [0] is read from, [1] written to. */
typedef struct {
  int in[2], out[2], err[2];
  const char *input;
  size_t left;
} pipes;

static void shut (int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static void shut_all (pipes *p) {
  for (int i = 0; i < 2; i++) {
    shut(&p->in[i]);
    shut(&p->out[i]);
    shut(&p->err[i]);
  }
}

/* A pipe away from the numbers 0 to 2, which the program's ends are moved to. */
static bool make_pipe (int fd[2], int ours) {
  if (pipe2(fd, O_CLOEXEC) != 0) return false;
  for (int i = 0; i < 2; i++) {
    if (fd[i] > 2) continue;
    int up = fcntl(fd[i], F_DUPFD_CLOEXEC, 3);
    if (up < 0) return false;
    close(fd[i]);
    fd[i] = up;
  }
  return fcntl(fd[ours], F_SETFL, O_NONBLOCK) == 0;
}

/* Start it: 0, or the number of an error. */
static int start (pipes *p, char *const argv[], const char *cwd, const sigset_t *mask, pid_t *pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t how;
  sigset_t standard;
  if (!make_pipe(p->out, 0) || !make_pipe(p->err, 0) || (p->input && !make_pipe(p->in, 1)))
    return errno;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&how);
  sigemptyset(&standard);
  sigaddset(&standard, SIGXFSZ);             /* ignored by us, see lsys.c */
  posix_spawnattr_setsigdefault(&how, &standard);
  posix_spawnattr_setsigmask(&how, mask);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  int error = p->input ? posix_spawn_file_actions_adddup2(&files, p->in[0], 0)
                       : posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  if (!error) error = posix_spawn_file_actions_adddup2(&files, p->out[1], 1);
  if (!error) error = posix_spawn_file_actions_adddup2(&files, p->err[1], 2);
  if (!error && cwd) error = posix_spawn_file_actions_addchdir_np(&files, cwd);
  if (!error) error = posix_spawnp(pid, argv[0], &files, &how, argv, environ);
  posix_spawnattr_destroy(&how);
  posix_spawn_file_actions_destroy(&files);
  shut(&p->in[0]);
  shut(&p->out[1]);
  shut(&p->err[1]);
  return error;
}

/* Take what is there; closes at the end of the stream. */
static void drain (int *fd, peri_bytes *to) {
  char buffer[1 << 14];
  ssize_t n = read(*fd, buffer, sizeof buffer);
  if (n > 0) {
    if (peri_bytes_add(to, buffer, (size_t) n) != PERI_OK) shut(fd);
  } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) shut(fd);
}

static void feed (pipes *p) {
  ssize_t n = write(p->in[1], p->input, p->left);
  if (n > 0) {
    p->input += n;
    p->left -= (size_t) n;
  } else if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  else p->left = 0;                         /* the program reads no more: not our concern */
  if (p->left == 0) shut(&p->in[1]);
}

static void converse (pipes *p, peri_bytes *out, peri_bytes *err) {
  if (p->input && p->left == 0) shut(&p->in[1]);
  while (p->out[0] >= 0 || p->err[0] >= 0 || p->in[1] >= 0) {
    struct pollfd wait[3] = {
      {p->out[0], POLLIN, 0}, {p->err[0], POLLIN, 0}, {p->in[1], POLLOUT, 0}};
    if (poll(wait, 3, -1) < 0 && errno != EINTR) break;
    if (wait[0].revents) drain(&p->out[0], out);
    if (wait[1].revents) drain(&p->err[0], err);
    if (wait[2].revents) feed(p);
  }
}

/* Run it to its end: its exit code, 128 + the signal it died of, or -1 with a failure. */
static int run (char *const argv[], const char *cwd, const char *input, size_t n, peri_bytes *out,
                peri_bytes *err) {
  pipes p = {{-1, -1}, {-1, -1}, {-1, -1}, input, n};
  sigset_t pipe_only, mask;
  pid_t pid;
  int status = 0;
  /* writing to a program that reads no more must not end us */
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_only, &mask);
  int error = start(&p, argv, cwd, &mask, &pid);
  if (!error) {
    converse(&p, out, err);
    shut_all(&p);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  }
  shut_all(&p);
  if (!sigismember(&mask, SIGPIPE))
    while (sigtimedwait(&pipe_only, NULL, &(struct timespec) {0, 0}) > 0) continue;
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  if (error) {
    peri_fail(PERI_E_SYSTEM, "cannot run %s%s%s: %s", argv[0], cwd ? " in " : "", cwd ? cwd : "",
              strerror(error));
    return -1;
  }
  if (peri_error()) return -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The words of the table at 1 as an argv in a userdata; the table anchors them. */
static char *const *check_words (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Unsigned n = lua_rawlen(L, 1);
  if (n == 0) peri__bad_argument(L, 1, "the list of words is empty; {\"ls\", \"-l\"} is one");
  char **argv = lua_newuserdatauv(L, (n + 1) * sizeof *argv, 0);
  for (lua_Unsigned i = 0; i < n; i++) {
    if (lua_rawgeti(L, 1, (lua_Integer) i + 1) != LUA_TSTRING)
      peri__bad_argument(L, 1, "word %d is a %s, not a string", (int) i + 1, luaL_typename(L, -1));
    argv[i] = (char *) (uintptr_t) lua_tostring(L, -1);
    if (strlen(argv[i]) != lua_rawlen(L, -1))
      peri__bad_argument(L, 1, "word %d has a zero byte", (int) i + 1);
    lua_pop(L, 1);
  }
  argv[n] = NULL;
  return argv;
}

/* A string under a key of the table at 2, or NULL. */
static const char *check_option (lua_State *L, const char *key, size_t *n) {
  *n = 0;
  if (lua_isnoneornil(L, 2)) return NULL;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_pushstring(L, key);
  int type = lua_rawget(L, 2);
  if (type != LUA_TNIL && type != LUA_TSTRING)
    peri__bad_argument(L, 2, "%s is a %s, not a string", key, lua_typename(L, type));
  const char *text = lua_tolstring(L, -1, n);
  lua_pop(L, 1);                            /* the table anchors it */
  return text;
}

/* run({word, ...} [, {cwd =, input =}]) -> {code =, out =, err =} | nil, message, code.
   Without input the program reads nothing.  Death by signal S is code 128 + S. */
int peri__spawn (lua_State *L) {
  size_t n, length;
  lua_settop(L, 2);
  char *const *argv = check_words(L);
  const char *cwd = check_option(L, "cwd", &length), *input = check_option(L, "input", &n);
  if (cwd && strlen(cwd) != length) return peri__bad_argument(L, 2, "cwd has a zero byte");
  peri_bytes *out = peri__push_bytes(L), *err = peri__push_bytes(L);
  int code = run(argv, cwd, input, n, out, err);
  if (code < 0) return peri__refuse(L);
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, code);
  lua_setfield(L, -2, "code");
  lua_pushlstring(L, out->n ? out->data : "", out->n);
  lua_setfield(L, -2, "out");
  lua_pushlstring(L, err->n ? err->data : "", err->n);
  lua_setfield(L, -2, "err");
  return 1;
}
