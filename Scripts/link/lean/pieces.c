// SPDX-License-Identifier: Apache-2.0
//
// Cuts sections into pieces. The compiler gives each function a section, but puts all tables of a file into few: those are cut at their
// symbols. Symbols that overlap are one piece. What lies before a symbol without a name of its own belongs to it, because a pointer to the
// symbol may mean what stands before it; only constants are parted from what follows.

#include "lean.h"

#include <stdlib.h>
#include <string.h>

struct span {
    uint32_t section;
    uint64_t start, end;
};

static struct piece *pieces;
static size_t used, capacity;

static void add(struct piece piece) {
    if (used == capacity) {
        capacity = capacity == 0 ? 1 << 16 : 2 * capacity;
        pieces = realloc(pieces, capacity * sizeof *pieces);
        if (pieces == NULL) {
            fail("out of memory", NULL);
        }
    }
    pieces[used++] = piece;
}

struct piece *pieces_number(uint32_t number) {
    return &pieces[number - 1];
}

static int by_place(const void *left, const void *right) {
    const struct span *a = left, *b = right;
    if (a->section != b->section) {
        return a->section < b->section ? -1 : 1;
    }
    return a->start != b->start ? (a->start < b->start ? -1 : 1) : 0;
}

// Tables with pointers in them: what may hold together what has nothing to do with each other.
static bool is_cut(const struct object *object, uint32_t section) {
    return object->swift && !object_is_code(object, section) && object->relocations[section] != 0;
}

static struct span *spans_of(const struct object *object, size_t *count) {
    struct span *spans = take((object->symbol_count + 1) * sizeof *spans);
    *count = 0;
    for (size_t i = 1; i < object->symbol_count; i++) {
        const Elf64_Sym *symbol = &object->symbols[i];
        uint32_t section = object_section_of(object, i);
        if (section != 0 && ELF64_ST_TYPE(symbol->st_info) != STT_SECTION) {
            spans[(*count)++] = (struct span){section, symbol->st_value, symbol->st_value + symbol->st_size};
        }
    }
    qsort(spans, *count, sizeof *spans, by_place);
    return spans;
}

static void cut(uint32_t object, uint32_t section, uint64_t size, const struct span *spans, size_t count) {
    struct piece piece = {.object = object, .section = section};
    for (size_t i = 0; i < count; i++) {
        uint64_t end = spans[i].end;
        if (end == spans[i].start) {  // a symbol without a size reaches to the next
            end = i + 1 < count ? spans[i + 1].start : size;
        }
        bool is_first = piece.end == piece.start;
        if (!is_first && spans[i].start >= piece.end) {
            add(piece);
            piece = (struct piece){.object = object, .section = section, .start = piece.end, .end = piece.end};
            is_first = true;
        }
        if (is_first && spans[i].start > piece.start) {  // what has no name
            piece.named = piece.end = spans[i].start;
            add(piece);
            piece.start = piece.end;
        }
        piece.named = is_first ? spans[i].start : piece.named;
        piece.several = !is_first;
        piece.end = is_first ? end : piece.end;  // a second name within a thing is said to be as long as the whole
    }
    piece.end = size;
    add(piece);
}

void pieces_cut(struct object *object, uint32_t number) {
    size_t count, next = 0;
    struct span *spans = spans_of(object, &count);
    for (uint32_t i = 0; i < object->count; i++) {
        object->first[i] = (uint32_t)used + 1;
        size_t from = next;
        while (next < count && spans[next].section == i) {
            next++;
        }
        const Elf64_Shdr *section = &object->sections[i];
        if (i == 0 || (section->sh_flags & SHF_ALLOC) == 0) {
            continue;
        }
        if (is_cut(object, i)) {
            cut(number, i, section->sh_size, spans + from, next - from);
        } else {
            add((struct piece){.object = number, .section = i, .end = section->sh_size});
        }
    }
    object->first[object->count] = (uint32_t)used + 1;
    free(spans);
    for (size_t i = 1; i < object->symbol_count; i++) {
        const Elf64_Sym *symbol = &object->symbols[i];
        struct piece *piece = pieces_at(object, object_section_of(object, i), symbol->st_value);
        if (piece != NULL && ELF64_ST_BIND(symbol->st_info) != STB_LOCAL) {
            names_define(object->strings + symbol->st_name, (uint32_t)(piece - pieces) + 1);
            piece->shared = ELF64_ST_BIND(symbol->st_info) == STB_WEAK ? object->strings + symbol->st_name : piece->shared;
        }
    }
}

// The piece at a place; the last one for places behind the end. NULL in sections that the program does not load.
struct piece *pieces_at(const struct object *object, uint32_t section, uint64_t offset) {
    uint32_t low = object->first[section], high = section == 0 ? low : object->first[section + 1];
    if (low == high) {
        return NULL;
    }
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (pieces[middle - 1].start <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &pieces[low - 1];
}
