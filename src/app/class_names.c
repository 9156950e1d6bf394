/* Class names, written and compared. */
#include "app/class_names.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "app/safetensors.h"

enum { NAMED_MAX = 3 };

void class_names_write(const struct class_names *classes, struct text *out)
{
    if (classes->names == NULL)
        return;
    cJSON *list = cJSON_CreateStringArray(classes->names, classes->count);
    char *text = cJSON_PrintUnformatted(list);
    text_add(out, "%s", text);
    cJSON_free(text);
    cJSON_Delete(list);
}

static bool is_list_of_texts(const cJSON *list)
{
    const cJSON *item;
    if (!cJSON_IsArray(list))
        return false;
    cJSON_ArrayForEach(item, list) if (!cJSON_IsString(item)) return false;
    return true;
}

static bool has(const cJSON *list, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list) if (strcmp(item->valuestring, name) == 0) return true;
    return false;
}

static bool is_class(const struct class_names *classes, const char *name)
{
    for (int i = 0; i < classes->count; i++)
        if (strcmp(classes->names[i], name) == 0)
            return true;
    return false;
}

static void name_one(struct text *out, int *count, const char *before, const char *name)
{
    char shown[64];
    if (*count < NAMED_MAX)
        text_add(out, "%s\"%s\"", *count > 0 ? ", " : before, safetensors_printable(shown, name));
    else if (*count == NAMED_MAX)
        text_add(out, ", …");
    (*count)++;
}

/* Those that one side alone has. */
static void name_strangers(const cJSON *kept, const struct class_names *classes, struct text *out)
{
    int gone = 0, new = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, kept) if (!is_class(classes, item->valuestring))
        name_one(out, &gone, "; only there: ", item->valuestring);
    for (int i = 0; i < classes->count; i++)
        if (!has(kept, classes->names[i]))
            name_one(out, &new, "; only here: ", classes->names[i]);
    if (gone + new == 0)
        text_add(out, "; they are the same in another order");
}

bool class_names_differ(const char *kept, const struct class_names *classes, struct text *out)
{
    if (kept == NULL || kept[0] == '\0' || classes->names == NULL)
        return false;
    cJSON *list = cJSON_Parse(kept);
    int there = is_list_of_texts(list) ? cJSON_GetArraySize(list) : 0, first = 0;
    char was[64], is[64];
    const cJSON *item = there > 0 ? list->child : NULL;
    while (item != NULL && first < classes->count && strcmp(item->valuestring, classes->names[first]) == 0) {
        item = item->next;
        first++;
    }
    bool differ = there > 0 && (item != NULL || first < classes->count);
    if (differ && there != classes->count)
        text_add(out, "there are %d classes there and %d here", there, classes->count);
    else if (differ && item != NULL)
        text_add(out, "class %d is \"%s\" there and \"%s\" here", first, safetensors_printable(was, item->valuestring),
                 safetensors_printable(is, classes->names[first]));
    if (differ)
        name_strangers(list, classes, out);
    cJSON_Delete(list);
    return differ;
}
