// SPDX-License-Identifier: Apache-2.0
//
// Takes from an object what would make the linker keep more than the program reaches: the order to keep descriptions in any case, records
// that do not count, and pointers out of pieces that nothing reaches. No byte moves, so no other distance changes.

#include "lean.h"

#include <string.h>

static void drop_pointers(struct object *object, uint32_t section) {
    uint32_t number = object->relocations[section];
    if (number == 0) {
        return;
    }
    Elf64_Rela *all = (void *)(object->bytes + object->sections[number].sh_offset);
    size_t count = object->sections[number].sh_size / sizeof *all;
    for (size_t i = 0; i < count; i++) {
        if (!pieces_at(object, section, all[i].r_offset)->reached || object_is_for_debuggers(object, &all[i])) {
            all[i].r_info = 0;  // R_X86_64_NONE, R_AARCH64_NONE
            all[i].r_addend = 0;
        }
    }
}

void prune(struct object *object) {
    for (uint32_t section = 1; object->swift && section < object->count; section++) {
        Elf64_Shdr *header = &object->sections[section];
        if (object->first[section] == object->first[section + 1]) {
            continue;
        }
        object->changed = true;
        if (object_is_record(object, section)) {
            if (!pieces_at(object, section, 0)->reached) {
                header->sh_flags = (header->sh_flags & ~(Elf64_Xword)SHF_GNU_RETAIN) | SHF_EXCLUDE;
            }
            continue;
        }
        if (object_is_pointed_to(object, section)) {
            header->sh_flags &= ~(Elf64_Xword)SHF_GNU_RETAIN;
        }
        if (!object_is_code(object, section)) {
            drop_pointers(object, section);
        }
    }
}
