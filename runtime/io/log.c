/* The record log of a run under way: length, CRC-32C of the payload, payload; little-endian.
   The first record names the format, so that a file of another kind is never cut.  Whoever opens a
   log to append holds the run's lock: nothing here guards against a second writer. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "file.h"

static const char title[] = "perigee log 1";
enum { HEAD = 8, TITLE = sizeof title - 1 };

struct peri_logfile {
  int fd;
  int64_t length;      /* where the last whole record ends */
  char path[];
};

typedef struct { uint32_t size, crc; } record_head;

/* Size of the whole record at the start of p, or 0 where there is none: cut short, damaged, or the
   zeros that some file systems leave after a power cut. */
static size_t whole_record (const char *p, size_t left) {
  record_head head;
  if (left < HEAD) return 0;
  memcpy(&head, p, HEAD);
  if (head.size == 0 || head.size > left - HEAD) return 0;
  return peri_crc32c(0, p + HEAD, head.size) == head.crc ? HEAD + (size_t) head.size : 0;
}

static void first_record (char out[HEAD + TITLE]) {
  record_head head = {TITLE, peri_crc32c(0, title, TITLE)};
  memcpy(out, &head, HEAD);
  memcpy(out + HEAD, title, TITLE);
}

/* Read n bytes from the start; what a writer cut off meanwhile reads as zeros. */
static bool read_all (int fd, char *out, size_t n) {
  for (size_t done = 0; done < n;) {
    ssize_t got = pread(fd, out + done, n - done, (off_t) done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) {
      memset(out + done, 0, n - done);
      break;
    }
    done += (size_t) got;
  }
  return true;
}

/* Walk the records of an open file; *end is where the last whole one ends.  A file that is shorter
   than the first record and agrees with it so far is one whose making was interrupted: empty. */
static peri_status walk (int fd, const char *path, int64_t size, int64_t *end,
                         bool (*f) (void *arg, const void *data, size_t n), void *arg) {
  char first[HEAD + TITLE];
  size_t n, left = (size_t) size, given = left < sizeof first ? left : sizeof first;
  *end = 0;
  char *all = malloc(left + 1);
  if (!all) return peri_fail(PERI_E_MEMORY, "out of memory: %zu bytes", left + 1);
  first_record(first);
  peri_status status = PERI_OK;
  if (!read_all(fd, all, left)) status = peri__fail_errno("read", path);
  else if (memcmp(all, first, given) != 0)
    status = peri_fail(PERI_E_FORMAT, "%s is not a log of Perigee, or its start is damaged", path);
  else if (given == sizeof first) {
    const char *p = all + given;
    for (left -= given; (n = whole_record(p, left)) > 0; p += n, left -= n)
      if (f && !f(arg, p + HEAD, n - HEAD)) break;
    *end = p - all;
  }
  free(all);
  return status;
}

/* All of the two pieces at the end of the file, or nothing: what did not fit is cut off again. */
static peri_status write_record (peri_logfile *log, const void *data, size_t n) {
  record_head head = {(uint32_t) n, peri_crc32c(0, data, n)};
  size_t done = 0, total = HEAD + n;
  while (done < total) {
    size_t body = done > HEAD ? done - HEAD : 0;
    struct iovec part[2] = {
      {(char *) &head + (done < HEAD ? done : HEAD), done < HEAD ? HEAD - done : 0},
      {(char *) (uintptr_t) data + body, n - body}
    };
    ssize_t wrote = writev(log->fd, part, 2);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      peri_status status = peri__fail_errno("write", log->path);
      if (done > 0 && ftruncate(log->fd, log->length) != 0) return status;   /* a torn tail stays */
      return status;
    }
    done += (size_t) wrote;
  }
  log->length += (int64_t) total;
  return PERI_OK;
}

/* Scans the whole log once, at the speed of the sum; a run's log holds megabytes. */
peri_logfile *peri_log_open (const char *path) {
  peri_logfile *log = malloc(sizeof *log + strlen(path) + 1);
  if (!log) return peri_null(PERI_E_MEMORY, "out of memory: %zu bytes", strlen(path));
  strcpy(log->path, path);
  log->length = 0;
  log->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
  off_t size = log->fd < 0 ? -1 : lseek(log->fd, 0, SEEK_END);
  if (size < 0) peri__fail_errno("open", path);
  else if (walk(log->fd, path, size, &log->length, NULL, NULL) == PERI_OK) {
    if (log->length < size && ftruncate(log->fd, log->length) != 0) peri__fail_errno("write", path);
    else if (log->length > 0 || write_record(log, title, TITLE) == PERI_OK) return log;
  }
  peri_log_close(log);
  return NULL;
}

/* One call of the system, so a record is torn only by a crash of the machine. */
peri_status peri_log_append (peri_logfile *log, const void *data, size_t n) {
  if (!log) return peri_error();
  if (n == 0 || n > UINT32_MAX - HEAD)
    return peri_fail(PERI_E_ARGUMENT, "a log record has 1 to 4294967287 bytes, not %zu", n);
  return write_record(log, data, n);
}

/* What was appended before survives a power cut. */
peri_status peri_log_sync (peri_logfile *log) {
  if (!log) return peri_error();
  if (fdatasync(log->fd) == 0 || errno == EINVAL || errno == ENOSYS) return PERI_OK;
  return peri__fail_errno("write", log->path);
}

void peri_log_close (peri_logfile *log) {
  if (!log) return;
  if (log->fd >= 0) close(log->fd);
  free(log);
}

/* Reads a snapshot: what a run appends meanwhile is not seen. */
peri_status peri_log_read (const char *path, bool (*f) (void *arg, const void *data, size_t n),
                           void *arg) {
  int64_t size, end;
  int fd = peri__open_file(path, &size);
  if (fd < 0) return peri_error();
  peri_status status = walk(fd, path, size, &end, f, arg);
  close(fd);
  return status;
}
