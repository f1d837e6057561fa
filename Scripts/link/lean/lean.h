// SPDX-License-Identifier: Apache-2.0
//
// A linker in front of the linker, which leaves out what the program cannot reach. See main.c for why and how.

#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef SHF_GNU_RETAIN
#define SHF_GNU_RETAIN (1u << 21)
#endif

// A stretch of a section that is reached, or not, as a whole: a function, a witness table, one type's description.
struct piece {
    uint32_t object, section;
    uint64_t start, end;
    uint64_t named;  // where its first symbol stands; before it lies what has no name
    bool several;    // symbols that overlap
    const char *shared;  // a name that other objects may define as well, of which the linker takes one; or NULL
    bool reached;
};

struct object {
    const char *path;
    uint8_t *bytes;  // a private copy of the file: what is changed here does not change it
    size_t size;
    bool near;     // instructions name places by their distance from the instruction's end, as x86-64 does
    bool swift;    // compiled from Swift: only these are changed
    bool changed;  // to be written for the linker
    Elf64_Shdr *sections;
    uint32_t count;
    const char *names;
    const Elf64_Sym *symbols;
    size_t symbol_count;
    const uint32_t *wide;  // section numbers that do not fit a symbol, or NULL
    const char *strings;
    uint32_t *relocations;  // for each section, the one with its relocations, or 0
    uint32_t *first;        // for each section, its first piece; count + 1 of them
};

// What the objects define by one name.
struct definition {
    uint32_t piece;
    struct definition *next;
};

struct name {
    const char *text;
    struct definition *definitions;
    bool reached;
};

struct words {
    char **all;
    size_t count, capacity;
};

// main.c
_Noreturn void fail(const char *what, const char *path);
void *take(size_t bytes);

// words.c
void words_append(struct words *words, char *word);
void words_expand(struct words *words, char *word);
void words_write(const struct words *words, const char *path);
uint8_t *file_view(const char *path, size_t *size);

// object.c
bool object_open(struct object *object, const char *path, uint8_t *bytes, size_t size);
uint32_t object_section_of(const struct object *object, size_t symbol);
const char *object_section_name(const struct object *object, uint32_t section);
bool object_is_code(const struct object *object, uint32_t section);
bool object_is_pointed_to(const struct object *object, uint32_t section);
bool object_is_record(const struct object *object, uint32_t section);
const Elf64_Rela *object_relocations(const struct object *object, uint32_t section, size_t *count);
const Elf64_Rela *object_relocation_at(const struct object *object, uint32_t section, uint64_t offset);
bool object_is_for_debuggers(const struct object *object, const Elf64_Rela *pointer);
bool object_archive_each(const uint8_t *bytes, size_t size, void (*each)(const uint8_t *member, size_t size));

// pieces.c
void pieces_cut(struct object *object, uint32_t number);
struct piece *pieces_at(const struct object *object, uint32_t section, uint64_t offset);
struct piece *pieces_number(uint32_t number);

// names.c
void names_define(const char *text, uint32_t piece);
struct name *names_find(const char *text);

// reach.c
void reach_name(const char *name);
void reach_roots(const struct object *objects, size_t count);
void reach_all(const struct object *objects, size_t count);

// prune.c
void prune(struct object *object);
