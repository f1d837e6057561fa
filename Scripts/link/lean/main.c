// SPDX-License-Identifier: Apache-2.0
//
// A linker in front of the linker: lean-ld ARGUMENTS... links as the linker (LINKER, given when this is compiled) would, but without what
// the program cannot reach.
//
// The compiler tells the linker to keep the record of every type, and of every conformance to a protocol, of every module, because a
// cast could ask for any of them while the program runs. Each leads to all methods of its type, so that whole libraries stay in the
// program of which it calls nothing. And it puts the tables of a file into one section, so that who needs one keeps them all. Here each
// table is looked at for itself, and a record is dropped when its type, or its protocol, is reached from nowhere: no value can ask then.
//
// The objects stay as they are; the linker gets changed copies. Libraries of the toolchain are not changed, and whatever they name counts
// as reached. Programs that export their names are linked as they are.

#include "lean.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct object *objects;
static size_t object_count;
// Where the changed copies lie; empty as long as there are none.
static char copies[PATH_MAX];

void fail(const char *what, const char *path) {
    fprintf(stderr, "lean-ld: %s%s%s%s%s\n", what, path == NULL ? "" : " ", path == NULL ? "" : path, errno == 0 ? "" : ": ",
        errno == 0 ? "" : strerror(errno));
    exit(1);
}

// Zeroed, and never given back: the program ends soon.
void *take(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (memory == NULL) {
        fail("out of memory", NULL);
    }
    return memory;
}

// Names in what is not looked into: whatever they stand for counts as reached.
static void reach_names_of(const uint8_t *bytes, size_t size) {
    uint8_t *aligned = take(size);
    memcpy(aligned, bytes, size);
    struct object object;
    if (object_open(&object, NULL, aligned, size)) {
        for (size_t i = 1; i < object.symbol_count; i++) {
            if (ELF64_ST_BIND(object.symbols[i].st_info) != STB_LOCAL) {
                reach_name(object.strings + object.symbols[i].st_name);
            }
        }
    }
    free(aligned);
}

static bool ends_with(const char *word, const char *end) {
    size_t length = strlen(word), wanted = strlen(end);
    return length >= wanted && strcmp(word + length - wanted, end) == 0;
}

static void reach_library(const struct words *words, const char *name) {
    for (size_t i = 0; i < words->count; i++) {
        char path[PATH_MAX];
        size_t size = 0;
        if (strncmp(words->all[i], "-L", 2) != 0 || snprintf(path, sizeof path, "%s/lib%s.a", words->all[i] + 2, name) >= PATH_MAX) {
            continue;
        }
        const uint8_t *bytes = file_view(path, &size);
        if (bytes != NULL) {
            object_archive_each(bytes, size, reach_names_of);
            munmap((void *)bytes, size);
            return;
        }
    }
}

// What stands in the arguments beside objects: names, and libraries.
static void reach_arguments(const struct words *words) {
    reach_name("main");
    reach_name("_start");
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->all[i], *next = i + 1 < words->count ? words->all[i + 1] : "";
        if (strcmp(word, "--defsym") == 0 && strchr(next, '=') != NULL) {
            reach_name(strchr(next, '=') + 1);
        } else if (strcmp(word, "-u") == 0 || strcmp(word, "-e") == 0 || strcmp(word, "--undefined") == 0) {
            reach_name(next);
        } else if (strncmp(word, "--wrap=", 7) == 0) {
            reach_name(word + 7);
        } else if (strncmp(word, "-l", 2) == 0) {
            reach_library(words, word + 2);
        } else if (ends_with(word, ".a")) {
            size_t size = 0;
            const uint8_t *bytes = file_view(word, &size);
            if (bytes != NULL) {
                object_archive_each(bytes, size, reach_names_of);
            }
        }
    }
}

static void copy_path(char *path, size_t number) {
    snprintf(path, PATH_MAX, "%s/%zu.o", copies, number);
}

static void remove_copies(void) {
    char path[PATH_MAX];
    for (size_t i = 0; copies[0] != '\0' && i < object_count; i++) {
        if (objects[i].changed) {
            copy_path(path, i);
            unlink(path);
        }
    }
    snprintf(path, sizeof path, "%.*s/arguments", PATH_MAX - 32, copies);
    unlink(path);
    rmdir(copies);
}

static void make_copies(void) {
    const char *parent = getenv("TMPDIR");
    int length = snprintf(copies, sizeof copies, "%s/lean-ld.XXXXXX", parent == NULL ? "/tmp" : parent);
    if (length < 0 || length >= PATH_MAX - 32 || mkdtemp(copies) == NULL) {
        fail("cannot make a directory in", parent);
    }
    atexit(remove_copies);
}

// Writes the changed objects and puts their new paths into the arguments; `places` says which argument an object was.
static void write_changed(struct words *words, const size_t *places) {
    for (size_t i = 0; i < object_count; i++) {
        prune(&objects[i]);
        if (!objects[i].changed) {
            continue;
        }
        char *path = take(PATH_MAX);
        copy_path(path, i);
        int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        for (size_t at = 0; at < objects[i].size;) {
            ssize_t written = file < 0 ? -1 : write(file, objects[i].bytes + at, objects[i].size - at);
            if (written <= 0) {
                fail("cannot write", path);
            }
            at += (size_t)written;
        }
        close(file);
        words->all[places[i]] = path;
    }
}

static int run(char *const *command) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        execv(command[0], command);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127)) {
        fail("cannot run", command[0]);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// Whether only this program's own parts can ask for anything in it; what else may look names up, this program cannot know.
static bool is_closed(const struct words *words) {
    bool closed = true;
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->all[i] + (strncmp(words->all[i], "--", 2) == 0 ? 1 : 0);
        if (strcmp(word, "-shared") == 0 || strcmp(word, "-r") == 0 || strcmp(word, "-relocatable") == 0) {
            return false;
        }
        if (strcmp(word, "-export-dynamic") == 0 || strcmp(word, "-E") == 0) {
            closed = false;
        } else if (strcmp(word, "-no-export-dynamic") == 0) {
            closed = true;
        }
    }
    return closed;
}

static void open_objects(const struct words *words, size_t *places) {
    for (size_t i = 0; i < words->count; i++) {
        size_t size = 0;
        bool named = i > 0 && (strcmp(words->all[i - 1], "-o") == 0 || strcmp(words->all[i - 1], "-T") == 0);
        uint8_t *bytes = !named && ends_with(words->all[i], ".o") ? file_view(words->all[i], &size) : NULL;
        if (bytes != NULL && object_open(&objects[object_count], words->all[i], bytes, size)) {
            pieces_cut(&objects[object_count], (uint32_t)object_count);
            places[object_count++] = i;
        }
    }
}

int main(int count, char **arguments) {
    struct words words = {0};
    words_append(&words, LINKER);
    for (int i = 1; i < count; i++) {
        words_expand(&words, arguments[i]);
    }
    objects = take(words.count * sizeof *objects);
    size_t *places = take(words.count * sizeof *places);
    const char *wish = getenv("BRUME_LEAN");
    if (is_closed(&words) && (wish == NULL || strcmp(wish, "no") != 0)) {
        open_objects(&words, places);
        reach_arguments(&words);
        reach_all(objects, object_count);
        words_append(&words, "-z");
        words_append(&words, "start-stop-gc");  // a description is not kept because its section has a name
    }

    make_copies();
    write_changed(&words, places);
    char response[PATH_MAX];
    snprintf(response, sizeof response, "@%.*s/arguments", PATH_MAX - 32, copies);
    struct words rest = {words.all + 1, words.count - 1, 0};
    words_write(&rest, response + 1);
    return run((char *[]){LINKER, response, NULL});
}
