#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "src/precis.h"
#include "src/files/safetensors.h"

enum { LENGTH_BYTES = 8, ALIGNMENT = 8 };

/* Adds one tensor whose data begin at `begin`. */
static int describe(json_t *root, const char *name, const precis_tensor *tensor, int64_t begin)
{
  json_t *shape = json_array();
  for (int i = 0; i < tensor->axes; i++)
    json_array_append_new(shape, json_integer(tensor->shape[i]));
  json_t *value = json_pack("{s:s, s:o, s:[I, I]}", "dtype", precis_dtype_name(tensor->dtype),
                            "shape", shape, "data_offsets", (json_int_t)begin,
                            (json_int_t)(begin + precis_tensor_bytes(tensor)));
  return json_object_set_new(root, name, value);
}

static int describe_all(json_t *root, const char *const *names, precis_tensor *tensors, int count,
                        precis_message *why)
{
  int64_t end = 0;
  for (int i = 0; i < count; i++) {
    tensors[i].offset = end;
    if (strcmp(names[i], "__metadata__") == 0 || json_object_get(root, names[i]) != NULL ||
        !precis_tensor_fits(&tensors[i]) ||
        __builtin_add_overflow(end, precis_tensor_bytes(&tensors[i]), &end) ||
        end > INT64_MAX / 2 || describe(root, names[i], &tensors[i], tensors[i].offset) != 0)
      return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                                ".safetensors cannot hold tensor \"%.80s\" of shape %s: the name "
                                "is reserved, repeated or no UTF-8, or it is too large",
                                names[i], precis_tensor_shape_text(&tensors[i]).text);
  }
  return PRECIS_SUCCESS;
}

/* Length and text, with spaces at the end, so that the data are aligned. */
static char *enclose(const char *text, int64_t *bytes)
{
  size_t used = strlen(text), length = (used + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  char *made = malloc(LENGTH_BYTES + length);
  if (made == NULL)
    return NULL;
  for (int i = 0; i < LENGTH_BYTES; i++)
    made[i] = (char)((uint64_t)length >> 8 * i & 0xff);
  memset(made + LENGTH_BYTES, ' ', length);
  memcpy(made + LENGTH_BYTES, text, used);
  *bytes = LENGTH_BYTES + (int64_t)length;
  return made;
}

int precis_safetensors_format(const char *const *names, precis_tensor *tensors, int count,
                              char **header, int64_t *header_bytes, precis_message *why)
{
  json_t *root = json_object();
  int status = describe_all(root, names, tensors, count, why);
  char *text = status == PRECIS_SUCCESS ? json_dumps(root, JSON_COMPACT) : NULL;
  char *made = text != NULL ? enclose(text, header_bytes) : NULL;
  if (status == PRECIS_SUCCESS && made == NULL)
    status = precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for a .safetensors header");
  if (status == PRECIS_SUCCESS)
    *header = made;
  for (int i = 0; i < count && status == PRECIS_SUCCESS; i++)
    tensors[i].offset += *header_bytes;
  free(text);
  json_decref(root);
  return status;
}
