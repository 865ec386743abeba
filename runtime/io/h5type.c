/* Types of HDF5 data as the reading side sees them: which kind they are, and what they become in
   memory.  No data is read in here. */

#include <string.h>

#include "h5.h"

/* Two members FALSE and TRUE in one byte, as h5py writes booleans. */
static bool is_boolean (hid_t type) {
  int8_t no = -1, yes = -1;
  return H5Tget_size(type) == 1 && H5Tget_nmembers(type) == 2 &&
         H5Tenum_valueof(type, "FALSE", &no) >= 0 && H5Tenum_valueof(type, "TRUE", &yes) >= 0 &&
         no == 0 && yes == 1;
}

/* Numbers must be exactly one of the standard types: odd widths and offsets come from damage
   only. */
peri_h5_kind peri__h5_kind_of (hid_t type, int *bytes) {
  const hid_t floats[] = {H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE};
  const hid_t ints[] = {H5T_STD_I8LE, H5T_STD_I8BE, H5T_STD_I16LE, H5T_STD_I16BE, H5T_STD_I32LE,
                        H5T_STD_I32BE, H5T_STD_I64LE, H5T_STD_I64BE};
  const hid_t unsigneds[] = {H5T_STD_U8LE, H5T_STD_U8BE, H5T_STD_U16LE, H5T_STD_U16BE,
                             H5T_STD_U32LE, H5T_STD_U32BE, H5T_STD_U64LE, H5T_STD_U64BE};
  H5T_class_t class = H5Tget_class(type);
  *bytes = (int) H5Tget_size(type);
  if (class == H5T_STRING) return PERI_H5_TEXT;
  if (class == H5T_ENUM && is_boolean(type)) return PERI_H5_BOOLEAN;
  for (int i = 0; i < 4; i++)
    if (H5Tequal(type, floats[i]) > 0) return PERI_H5_FLOAT;
  for (int i = 0; i < 8; i++) {
    if (H5Tequal(type, ints[i]) > 0) return PERI_H5_SIGNED;
    if (H5Tequal(type, unsigneds[i]) > 0) return PERI_H5_UNSIGNED;
  }
  return PERI_H5_OTHER;
}

hid_t peri__h5_wide_type (peri_h5_kind kind, int bytes) {
  return kind == PERI_H5_FLOAT ? H5T_NATIVE_DOUBLE
       : kind == PERI_H5_UNSIGNED && bytes == 8 ? H5T_NATIVE_UINT64 : H5T_NATIVE_INT64;
}

hid_t peri__h5_text_like (hid_t type, size_t size) {
  hid_t memory = H5Tcopy(H5T_C_S1);
  if (H5Tset_size(memory, size) >= 0 && H5Tset_strpad(memory, H5Tget_strpad(type)) >= 0 &&
      H5Tset_cset(memory, H5Tget_cset(type)) >= 0) return memory;
  peri__h5_release(memory);
  return -1;
}

size_t peri__h5_text_length (hid_t type, const char *text, size_t n) {
  H5T_str_t padding = H5Tget_strpad(type);
  if (padding == H5T_STR_NULLTERM) return strnlen(text, n);
  while (n > 0 && text[n - 1] == (padding == H5T_STR_SPACEPAD ? ' ' : 0)) n--;
  return n;
}
