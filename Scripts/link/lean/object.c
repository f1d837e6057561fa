// SPDX-License-Identifier: Apache-2.0
//
// Reads an object file of 64 bits in ELF: sections, symbols, relocations.

#include "lean.h"

#include <ar.h>
#include <stdlib.h>
#include <string.h>

// Sections that the program reaches by pointers, and by nothing else: code, values, and what describes types to reflection. The compiler
// orders to keep whatever other modules, or a debugger, could ask for; here the whole program is known.
static const char *const pointed[] = {
    ".text", ".rodata", ".data", ".bss", ".swift_modhash", "swift5_fieldmd", "swift5_capture", "swift5_assocty", "swift5_builtin",
    "swift5_mpenum", "swift5_reflstr", "swift5_typeref",
};

// Sections that the runtime reads from the first to the last entry.
static const char *const records[] = {"swift5_protocol_conformances", "swift5_type_metadata", "swift5_protocols"};

// Each object of Swift has the hash of its module in it, and most have descriptions of types.
static bool is_of_swift(const char *name) {
    return strcmp(name, ".swift_modhash") == 0 || strncmp(name, "swift5_", 7) == 0;
}

bool object_open(struct object *object, const char *path, uint8_t *bytes, size_t size) {
    const Elf64_Ehdr *head = (const void *)bytes;
    if (size < sizeof *head || memcmp(bytes, ELFMAG, SELFMAG) != 0 || head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_type != ET_REL) {
        return false;
    }
    *object = (struct object){.path = path, .bytes = bytes, .size = size, .sections = (void *)(bytes + head->e_shoff)};
    object->near = head->e_machine == EM_X86_64;
    object->count = head->e_shnum != 0 ? head->e_shnum : (uint32_t)object->sections[0].sh_size;
    uint32_t names = head->e_shstrndx != SHN_XINDEX ? head->e_shstrndx : object->sections[0].sh_link;
    object->names = (const char *)bytes + object->sections[names].sh_offset;
    object->relocations = take(object->count * sizeof *object->relocations);
    object->first = take((object->count + 1) * sizeof *object->first);
    for (uint32_t i = 1; i < object->count; i++) {
        const Elf64_Shdr *section = &object->sections[i];
        if (section->sh_type == SHT_RELA) {
            object->relocations[section->sh_info] = i;
        } else if (section->sh_type == SHT_SYMTAB) {
            object->symbols = (const void *)(bytes + section->sh_offset);
            object->symbol_count = section->sh_size / sizeof *object->symbols;
            object->strings = (const char *)bytes + object->sections[section->sh_link].sh_offset;
        } else if (section->sh_type == SHT_SYMTAB_SHNDX) {
            object->wide = (const void *)(bytes + section->sh_offset);
        } else if (section->sh_size > 0 && is_of_swift(object_section_name(object, i))) {
            object->swift = true;
        }
    }
    return object->symbols != NULL;
}

// The section that a symbol lies in; 0 when it is not defined here, or not in a section.
uint32_t object_section_of(const struct object *object, size_t symbol) {
    uint16_t number = object->symbols[symbol].st_shndx;
    if (number == SHN_XINDEX && object->wide != NULL) {
        return object->wide[symbol];
    }
    return number >= SHN_LORESERVE ? 0 : number;
}

const char *object_section_name(const struct object *object, uint32_t section) {
    return object->names + object->sections[section].sh_name;
}

bool object_is_code(const struct object *object, uint32_t section) {
    return (object->sections[section].sh_flags & SHF_EXECINSTR) != 0;
}

bool object_is_pointed_to(const struct object *object, uint32_t section) {
    const char *name = object_section_name(object, section);
    for (size_t i = 0; object->swift && i < sizeof pointed / sizeof *pointed; i++) {
        size_t length = strlen(pointed[i]);
        if (strncmp(name, pointed[i], length) == 0 && (name[length] == '\0' || name[length] == '.')) {
            return true;
        }
    }
    return false;
}

// One entry of a list of the runtime. The compiler puts each into a section of its own; where it has not, the section is not a record.
bool object_is_record(const struct object *object, uint32_t section) {
    if (!object->swift || object->sections[section].sh_size != sizeof(int32_t)) {
        return false;
    }
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        if (strcmp(object_section_name(object, section), records[i]) == 0) {
            return true;
        }
    }
    return false;
}

const Elf64_Rela *object_relocations(const struct object *object, uint32_t section, size_t *count) {
    uint32_t number = object->relocations[section];
    *count = number == 0 ? 0 : object->sections[number].sh_size / sizeof(Elf64_Rela);
    return number == 0 ? NULL : (const void *)(object->bytes + object->sections[number].sh_offset);
}

const Elf64_Rela *object_relocation_at(const struct object *object, uint32_t section, uint64_t offset) {
    size_t count;
    const Elf64_Rela *all = object_relocations(object, section, &count);
    for (size_t i = 0; i < count; i++) {
        if (all[i].r_offset == offset) {
            return &all[i];
        }
    }
    return NULL;
}

// False when it is no archive.
bool object_archive_each(const uint8_t *bytes, size_t size, void (*each)(const uint8_t *member, size_t size)) {
    if (size < SARMAG || memcmp(bytes, ARMAG, SARMAG) != 0) {
        return false;
    }
    for (size_t at = SARMAG; at + sizeof(struct ar_hdr) <= size;) {
        const struct ar_hdr *head = (const void *)(bytes + at);
        size_t length = strtoul(head->ar_size, NULL, 10);
        at += sizeof *head;
        if (length > size - at) {
            break;
        }
        each(bytes + at, length);
        at += length + (length & 1);
    }
    return true;
}

// Whether a pointer leads to what only debuggers read: what kind of values a closure holds.
bool object_is_for_debuggers(const struct object *object, const Elf64_Rela *pointer) {
    uint32_t section = object_section_of(object, ELF64_R_SYM(pointer->r_info));
    return object->swift && section != 0 && strcmp(object_section_name(object, section), "swift5_capture") == 0;
}
