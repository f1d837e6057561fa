// SPDX-License-Identifier: Apache-2.0
//
// Follows pointers from what the linker keeps in any case. A record that a type conforms to a protocol counts only when the program
// reaches the type and the protocol otherwise: then a cast may ask for it. A record of a type or a protocol, when it reaches that.

#include "lean.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// An instruction of x86-64 names a place relative to its own end: the place is 4 bytes after what the relocation says, or up to 8 when a
// constant follows. The first and the last of them count.
#define NEAR_BYTES 4
#define FAR_BYTES 8
// Where the protocol and the type stand in the description of a conformance.
#define PROTOCOL_OFFSET 0
#define TYPE_OFFSET 4

struct record {
    struct piece *piece;
    const struct object *object;
    uint32_t section;
};

static struct piece **queue;
static size_t queued, queue_capacity;
static struct record *waiting;
static size_t waiting_count, waiting_capacity;

static void reach(struct piece *piece) {
    if (piece == NULL || piece->reached) {
        return;
    }
    piece->reached = true;
    if (queued == queue_capacity) {
        queue_capacity = queue_capacity == 0 ? 1 << 12 : 2 * queue_capacity;
        queue = realloc(queue, queue_capacity * sizeof *queue);
        if (queue == NULL) {
            fail("out of memory", NULL);
        }
    }
    queue[queued++] = piece;
}

void reach_name(const char *text) {
    struct name *name = names_find(text);
    if (name == NULL || name->reached) {
        return;
    }
    name->reached = true;
    for (const struct definition *each = name->definitions; each != NULL; each = each->next) {
        reach(pieces_number(each->piece));
    }
}

static void reach_symbol(const struct object *object, const Elf64_Rela *relocation, bool from_code) {
    size_t number = ELF64_R_SYM(relocation->r_info);
    const Elf64_Sym *symbol = &object->symbols[number];
    uint32_t section = object_section_of(object, number);
    if (ELF64_ST_BIND(symbol->st_info) != STB_LOCAL) {
        reach_name(object->strings + symbol->st_name);
    }
    if (section == 0) {
        return;
    }
    uint64_t at = symbol->st_value;
    if (ELF64_ST_TYPE(symbol->st_info) == STT_SECTION) {
        int64_t place = (int64_t)at + relocation->r_addend;
        at = place < 0 ? 0 : (uint64_t)place;
        if (from_code && object->near) {
            reach(pieces_at(object, section, at + FAR_BYTES));
            at += NEAR_BYTES;
        }
    }
    reach(pieces_at(object, section, at));
}

// Distances within a section of descriptions, which the assembler has filled in already: what could be one counts. The lowest bits say
// what kind of thing is meant.
static void reach_neighbours(const struct object *object, const struct piece *piece) {
    const Elf64_Shdr *section = &object->sections[piece->section];
    if (!object->swift || strcmp(object_section_name(object, piece->section), ".rodata") != 0) {
        return;
    }
    for (uint64_t at = (piece->start + 3) & ~3ull; at + sizeof(int32_t) <= piece->end; at += sizeof(int32_t)) {
        int32_t distance;
        memcpy(&distance, object->bytes + section->sh_offset + at, sizeof distance);
        int64_t target = ((int64_t)at + distance) & ~3ll;
        if (distance == 0 || target < 0 || target >= (int64_t)section->sh_size) {
            continue;
        }
        struct piece *neighbour = pieces_at(object, piece->section, (uint64_t)target);
        if (neighbour->several || (uint64_t)target <= neighbour->named) {
            reach(neighbour);
        }
    }
}

static void follow(const struct object *objects) {
    while (queued > 0) {
        const struct piece *piece = queue[--queued];
        const struct object *object = &objects[piece->object];
        size_t count;
        const Elf64_Rela *all = object_relocations(object, piece->section, &count);
        for (size_t i = 0; i < count; i++) {
            if (all[i].r_offset >= piece->start && all[i].r_offset < piece->end && !object_is_for_debuggers(object, &all[i])) {
                reach_symbol(object, &all[i], object_is_code(object, piece->section));
            }
        }
        reach_neighbours(object, piece);
        if (piece->shared != NULL) {
            reach_name(piece->shared);
        }
    }
}

// Whether what a pointer leads to is reached. What other libraries define always counts as reached.
static bool is_reached(const struct object *object, uint32_t section, uint64_t offset) {
    const Elf64_Rela *pointer = object_relocation_at(object, section, offset);
    if (pointer == NULL) {  // filled in by the assembler, or nothing known
        const Elf64_Shdr *header = &object->sections[section];
        int32_t distance;
        memcpy(&distance, object->bytes + header->sh_offset + offset, sizeof distance);
        int64_t target = (int64_t)offset + distance;
        return distance == 0 || target < 0 || target >= (int64_t)header->sh_size ||
            pieces_at(object, section, (uint64_t)target)->reached;
    }
    size_t number = ELF64_R_SYM(pointer->r_info);
    const Elf64_Sym *symbol = &object->symbols[number];
    uint32_t target = object_section_of(object, number);
    const char *text = object->strings + symbol->st_name;
    uint64_t at = symbol->st_value + (ELF64_ST_TYPE(symbol->st_info) == STT_SECTION ? (uint64_t)pointer->r_addend : 0);
    if (target != 0 && strncmp(text, "got.", 4) == 0) {  // a pointer to the pointer
        return is_reached(object, target, at);
    }
    if (ELF64_ST_BIND(symbol->st_info) == STB_LOCAL) {
        return target == 0 || pieces_at(object, target, at) == NULL || pieces_at(object, target, at)->reached;
    }
    const struct name *name = names_find(text);
    for (const struct definition *each = name == NULL ? NULL : name->definitions; each != NULL; each = each->next) {
        if (pieces_number(each->piece)->reached) {
            return true;
        }
    }
    return name == NULL;
}

static bool counts(const struct record *record) {
    const struct object *object = record->object;
    const Elf64_Rela *pointer = object_relocation_at(object, record->section, 0);
    if (pointer == NULL || strcmp(object_section_name(object, record->section), "swift5_protocol_conformances") != 0) {
        return is_reached(object, record->section, 0);
    }
    size_t number = ELF64_R_SYM(pointer->r_info);
    uint32_t section = object_section_of(object, number);
    if (section == 0) {
        return true;
    }
    const Elf64_Sym *symbol = &object->symbols[number];
    uint64_t at = symbol->st_value + (ELF64_ST_TYPE(symbol->st_info) == STT_SECTION ? (uint64_t)pointer->r_addend : 0);
    return is_reached(object, section, at + PROTOCOL_OFFSET) && is_reached(object, section, at + TYPE_OFFSET);
}

static void wait_for(struct piece *piece, const struct object *object, uint32_t section) {
    if (waiting_count == waiting_capacity) {
        waiting_capacity = waiting_capacity == 0 ? 1 << 12 : 2 * waiting_capacity;
        waiting = realloc(waiting, waiting_capacity * sizeof *waiting);
        if (waiting == NULL) {
            fail("out of memory", NULL);
        }
    }
    waiting[waiting_count++] = (struct record){.piece = piece, .object = object, .section = section};
}

// Lists that the linker or a library reads from end to end by the name of their section.
static bool is_list(const char *name) {
    if (isdigit((unsigned char)*name)) {
        return false;
    }
    for (; *name != '\0'; name++) {
        if (!isalnum((unsigned char)*name) && *name != '_') {
            return false;
        }
    }
    return true;
}

static bool is_root(const struct object *object, uint32_t section) {
    const Elf64_Shdr *header = &object->sections[section];
    const char *name = object_section_name(object, section);
    if (header->sh_type == SHT_INIT_ARRAY || header->sh_type == SHT_FINI_ARRAY || header->sh_type == SHT_PREINIT_ARRAY ||
        header->sh_type == SHT_NOTE) {
        return true;
    }
    if (strncmp(name, ".init", 5) == 0 || strncmp(name, ".fini", 5) == 0 || strncmp(name, ".ctors", 6) == 0 ||
        strncmp(name, ".dtors", 6) == 0) {
        return true;
    }
    return !object_is_pointed_to(object, section) && ((header->sh_flags & SHF_GNU_RETAIN) != 0 || is_list(name));
}

void reach_roots(const struct object *objects, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct object *object = &objects[i];
        for (uint32_t section = 1; section < object->count; section++) {
            if (object->first[section] == object->first[section + 1]) {
                continue;
            }
            if (object_is_record(object, section)) {
                wait_for(pieces_at(object, section, 0), object, section);
            } else if (is_root(object, section)) {
                for (uint32_t number = object->first[section]; number < object->first[section + 1]; number++) {
                    reach(pieces_number(number));
                }
            }
        }
    }
}

// From the roots until nothing more is reached.
void reach_all(const struct object *objects, size_t count) {
    reach_roots(objects, count);
    for (bool more = true; more;) {
        follow(objects);
        more = false;
        size_t kept = 0;
        for (size_t i = 0; i < waiting_count; i++) {
            if (counts(&waiting[i])) {
                reach(waiting[i].piece);
                more = true;
            } else {
                waiting[kept++] = waiting[i];
            }
        }
        waiting_count = kept;
    }
}
