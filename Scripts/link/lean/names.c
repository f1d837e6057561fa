// SPDX-License-Identifier: Apache-2.0
//
// Which pieces a name stands for. Several objects may define the same name; the linker takes one of them, so all count.

#include "lean.h"

#include <stdlib.h>
#include <string.h>

static struct name *table;
static size_t capacity, used;

static struct name *place(const char *name) {
    uint64_t value = 14695981039346656037u;
    for (const char *at = name; *at != '\0'; at++) {
        value = (value ^ (uint8_t)*at) * 1099511628211u;
    }
    size_t at = (value ^ value >> 29) & (capacity - 1);
    while (table[at].text != NULL && strcmp(table[at].text, name) != 0) {
        at = (at + 1) & (capacity - 1);
    }
    return &table[at];
}

static void grow(void) {
    struct name *old = table;
    size_t before = capacity;
    capacity = before == 0 ? 1 << 16 : 2 * before;
    table = take(capacity * sizeof *table);
    for (size_t i = 0; i < before; i++) {
        if (old[i].text != NULL) {
            *place(old[i].text) = old[i];
        }
    }
    free(old);
}

void names_define(const char *text, uint32_t piece) {
    if (2 * (used + 1) > capacity) {
        grow();
    }
    struct name *name = place(text);
    if (name->text == NULL) {
        name->text = text;
        used++;
    }
    struct definition *definition = take(sizeof *definition);
    *definition = (struct definition){.piece = piece, .next = name->definitions};
    name->definitions = definition;
}

// NULL when no object defines it.
struct name *names_find(const char *text) {
    struct name *name = capacity == 0 ? NULL : place(text);
    return name == NULL || name->text == NULL ? NULL : name;
}
