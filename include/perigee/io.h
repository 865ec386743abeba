/* Files: HDF5, PNG, IDX, hashes, and the record log of a run under way.
   A damaged or foreign file is a failure with a message, never a crash; readers trust no length
   field before it was checked against the file.  Writers that replace a file write beside it,
   fsync, rename, and fsync the folder: what was on disk stays whole until the new file is. */
#ifndef PERIGEE_IO_H
#define PERIGEE_IO_H

#include "tensor.h"

/* --- whole files --- */
/* Bytes that grow; starts as {0}. */
typedef struct { char *data; size_t n, room; } peri_bytes;
peri_status peri_bytes_add (peri_bytes *b, const void *data, size_t n);
void peri_bytes_free (peri_bytes *b);
/* The file becomes these bytes or stays what it was: path.tmp, fsync, rename, fsync the folder. */
peri_status peri_file_replace (const char *path, const void *data, size_t n);

/* --- hashes --- */
typedef struct { uint32_t state[8]; uint64_t length; uint8_t block[64]; } peri_sha256;
void peri_sha256_init (peri_sha256 *h);
void peri_sha256_add (peri_sha256 *h, const void *data, size_t n);
void peri_sha256_hex (peri_sha256 *h, char out[65]);           /* finishes h */
peri_status peri_sha256_file (const char *path, char out[65]);
uint32_t peri_crc32c (uint32_t crc, const void *data, size_t n);
/* Chained 64-bit digest of a tensor's dtype, shape and bytes in canonical order (strides do not
   matter).  No protection against forgery. */
uint64_t peri_digest (uint64_t chain, const peri_tensor *x);

/* --- images: byte tensors (height, width), or (height, width, channel) of 1, 3 or 4 --- */
/* ntext pairs of key (Latin letters, at most 79) and value (UTF-8) become tEXt or iTXt chunks. */
peri_status peri_png_write (const char *path, const peri_tensor *image, int ntext,
                            const char *const *text);
/* (h, w) where it is gray, else (h, w, 3) or (h, w, 4); palettes are expanded, 16 bits become 8. */
peri_tensor *peri_png_read (const char *path);
/* Adds every text of the image to `out` as key, zero, value, zero. */
peri_status peri_png_text (const char *path, peri_bytes *out);

/* --- IDX, the format of MNIST: a byte tensor of the file's shape; gzip is recognised --- */
peri_tensor *peri_idx_read (const char *path);

/* --- record log: length, CRC-32C of the payload, payload; the first record names the format --- */
typedef struct peri_logfile peri_logfile;         /* peri_log is the logarithm */
/* Makes the file, or cuts off a torn tail; a file of another kind is a failure and left alone. */
peri_logfile *peri_log_open (const char *path);
/* n is at least 1.  On failure nothing is changed. */
peri_status peri_log_append (peri_logfile *log, const void *data, size_t n);
peri_status peri_log_sync (peri_logfile *log);              /* fdatasync */
void peri_log_close (peri_logfile *log);
/* Calls f for every whole record; stops silently at a torn tail.  f returns false to stop. */
peri_status peri_log_read (const char *path, bool (*f) (void *arg, const void *data, size_t n),
                           void *arg);

/* --- HDF5, writing ---
   The file is built in memory; commit puts it on disk in one go.  The same calls give the same
   bytes.  Names are paths like "images/x/step_1"; groups on the way are made. */
typedef struct peri_h5 peri_h5;
/* Fails early where `path` could not be written. */
peri_h5 *peri_h5_create (const char *path);
/* Replaces the file as peri_file_replace does.  Closes f whether it succeeds or not. */
peri_status peri_h5_commit (peri_h5 *f);
void peri_h5_close (peri_h5 *f);               /* without commit nothing reaches the disk */

/* x's shape and dtype.  compress: shuffle and deflate 4, in chunks of at most 1 MiB. */
peri_status peri_h5_write (peri_h5 *f, const char *name, const peri_tensor *x, bool compress);
peri_status peri_h5_write_f64 (peri_h5 *f, const char *name, const double *x, int64_t n);
peri_status peri_h5_write_i64 (peri_h5 *f, const char *name, const int64_t *x, int64_t n);
peri_status peri_h5_write_u64 (peri_h5 *f, const char *name, const uint64_t *x, int64_t n);
/* A scalar UTF-8 string of fixed length; no zero bytes. */
peri_status peri_h5_write_text (peri_h5 *f, const char *name, const char *text, size_t n);
/* A byte tensor (h, w), (h, w, 1) or (h, w, 3), deflated, marked as HDF5 Image 1.2. */
peri_status peri_h5_write_image (peri_h5 *f, const char *name, const peri_tensor *image);
/* Make `scale` the dimension scale of the first axis of `dataset`, both of n rows. */
peri_status peri_h5_scale (peri_h5 *f, const char *dataset, const char *scale, const char *label);
/* An object that is not there is made as a group; an attribute that is there is replaced.
   Texts are UTF-8 of variable length, below 64 KiB; booleans the FALSE/TRUE enumeration of h5py. */
peri_status peri_h5_set_f64 (peri_h5 *f, const char *object, const char *attribute, double v);
peri_status peri_h5_set_i64 (peri_h5 *f, const char *object, const char *attribute, int64_t v);
peri_status peri_h5_set_bool (peri_h5 *f, const char *object, const char *attribute, bool v);
peri_status peri_h5_set_text (peri_h5 *f, const char *object, const char *attribute, const char *v);

/* --- HDF5, reading ---
   Any file, trusted or not: data outside of it (external storage, links) is refused, and so are
   sizes that its bytes cannot hold.  A file being written can be read as well. */
peri_h5 *peri_h5_open (const char *path);
bool peri_h5_has (peri_h5 *f, const char *name);

/* OTHER: data of a type that is not read.  NONE: neither a group nor a dataset. */
typedef enum { PERI_H5_GROUP, PERI_H5_FLOAT, PERI_H5_SIGNED, PERI_H5_UNSIGNED, PERI_H5_BOOLEAN,
               PERI_H5_TEXT, PERI_H5_OTHER, PERI_H5_NONE } peri_h5_kind;
typedef struct {
  peri_h5_kind kind;
  int bytes;                /* of one number */
  peri_dims shape;
} peri_h5_info;
peri_status peri_h5_inspect (peri_h5 *f, const char *name, peri_h5_info *info);

/* Floats become real; booleans and 1-byte unsigned numbers byte; other integers index where they
   all fit, and a failure where not. */
peri_tensor *peri_h5_read (peri_h5 *f, const char *name);
/* All n numbers of a dataset.  Integers are kept exactly; uint64 keeps its bits. */
peri_status peri_h5_read_f64 (peri_h5 *f, const char *name, double *x, int64_t n);
peri_status peri_h5_read_i64 (peri_h5 *f, const char *name, int64_t *x, int64_t n);
peri_status peri_h5_read_text (peri_h5 *f, const char *name, peri_bytes *out);

/* In order of name (bytewise).  `f` of a visit returns false to stop. */
typedef bool peri_h5_visit (void *arg, const char *name, peri_h5_kind kind);
peri_status peri_h5_list (peri_h5 *f, const char *group, peri_h5_visit *visit, void *arg);

typedef struct {
  const char *name;
  peri_h5_kind kind;
  bool array;               /* of n numbers; otherwise n is 1, or the length of a text */
  int64_t n;
  union { const double *f64; const int64_t *i64; const char *text; };
} peri_h5_attribute;
/* In order of name.  Attributes of a kind that is not listed above (references) are skipped. */
typedef bool peri_h5_visit_attribute (void *arg, const peri_h5_attribute *a);
peri_status peri_h5_attributes (peri_h5 *f, const char *object, peri_h5_visit_attribute *visit,
                                void *arg);

#endif
