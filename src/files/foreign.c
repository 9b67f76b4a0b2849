#include "src/files/foreign.h"

#include <stddef.h>
#include <string.h>

#define BEGINS(text) text, sizeof text - 1

static const struct {
  const char *begin;
  size_t length;
  const char *what;
} formats[] = {
    {BEGINS("version https://"), "a git-lfs pointer, not the data: run git lfs pull"},
    {BEGINS("/annex/objects/"), "a git-annex pointer, not the data: run git annex get"},
    {BEGINS("PK\x03\x04"), "a zip archive, as .npz and PyTorch's .pt and .bin are: take the arrays "
                           "out with numpy.save() or safetensors.torch.save_file()"},
    {BEGINS("\x89HDF\r\n\x1a\n"), "HDF5: take the arrays out with h5py and numpy.save()"},
    {BEGINS("\x80\x02"), "a Python pickle, as PyTorch's old .pt and .bin are: take the arrays out "
                         "with numpy.save() or safetensors.torch.save_file()"},
    {BEGINS("\x80\x03"), "a Python pickle: take the arrays out with numpy.save()"},
    {BEGINS("\x80\x04"), "a Python pickle: take the arrays out with numpy.save()"},
    {BEGINS("\x80\x05"), "a Python pickle: take the arrays out with numpy.save()"},
    {BEGINS("\x1f\x8b"), "compressed by gzip: run gunzip"},
    {BEGINS("\x28\xb5\x2f\xfd"), "compressed by zstd: run unzstd"},
    {BEGINS("\xfd"
            "7zXZ"),
     "compressed by xz: run unxz"},
    {BEGINS("BZh"), "compressed by bzip2: run bunzip2"},
    {BEGINS("GGUF"), "GGUF, which holds weights of models: no arrays of tokens are in it"},
    {BEGINS("PAR1"), "Parquet: take the arrays out with numpy.save()"},
    {BEGINS("<!DOCTYPE"), "a web page: the download went wrong"},
    {BEGINS("<html"), "a web page: the download went wrong"},
    {BEGINS("{"), "JSON, such as an index of several .safetensors files: name one of these"},
};

const char *precis_foreign_format(const void *prefix, int64_t prefix_bytes)
{
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if (prefix_bytes >= (int64_t)formats[i].length &&
        memcmp(prefix, formats[i].begin, formats[i].length) == 0)
      return formats[i].what;
  return NULL;
}
