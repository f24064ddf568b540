// /proc/cpuinfo names what programs may use of the processor: what is named is there, and what the levels of x86-64 ask for is
// named where it is there.
#include "guest.h"
#include <cpuid.h>

enum word { AX, BX, CX, DX };

static const struct {
    const char *name;
    unsigned leaf, sub;
    enum word word;
    int bit;
    bool always; // shown whatever the state of the vector registers is
} flags[] = {
    {"fpu", 1, 0, DX, 0, true}, {"sse2", 1, 0, DX, 26, true}, {"pni", 1, 0, CX, 0, true}, {"ssse3", 1, 0, CX, 9, true},
    {"cx16", 1, 0, CX, 13, true}, {"sse4_1", 1, 0, CX, 19, true}, {"sse4_2", 1, 0, CX, 20, true}, {"popcnt", 1, 0, CX, 23, true},
    {"movbe", 1, 0, CX, 22, true}, {"lahf_lm", 0x80000001, 0, CX, 0, true}, {"abm", 0x80000001, 0, CX, 5, true},
    {"bmi1", 7, 0, BX, 3, true}, {"bmi2", 7, 0, BX, 8, true},
    {"clflushopt", 7, 0, BX, 23, true}, {"clwb", 7, 0, BX, 24, true}, {"avx", 1, 0, CX, 28, false}, {"fma", 1, 0, CX, 12, false},
    {"avx2", 7, 0, BX, 5, false}, {"avx512ifma", 7, 0, BX, 21, false}, {"gfni", 7, 0, CX, 8, false}, {"vaes", 7, 0, CX, 9, false},
    {"avx512_vnni", 7, 0, CX, 11, false}, {"avx512_bf16", 7, 1, AX, 5, false}, {"avx_vnni", 7, 1, AX, 4, false},
    {"fsrm", 7, 0, DX, 4, false}, {"xsavec", 13, 1, AX, 1, false},
};

static void tests(void) {
    static char text[1 << 20];
    int fd = open("/proc/cpuinfo", O_RDONLY);
    size_t n = 0;
    for (ssize_t got; n < sizeof text - 1 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0;) n += got;
    static const char *const lines[] = {"processor\t: 0\n", "cpuid level\t: ", "apicid\t\t: ", "fpu_exception\t: yes\n", "wp\t\t: yes\n",
                                        "cache_alignment\t: ", "\npower management:"};
    for (size_t i = 0; i < COUNT(lines); i++) CHECK(strstr(text, lines[i]));
    char *line = strstr(text, "\nflags\t\t: ");
    CHECK(line);
    if (!line) return;
    char *end = strchr(line + 1, '\n');
    *end = ' ', end[1] = 0;
    for (size_t i = 0; i < COUNT(flags); i++) {
        unsigned r[4] = {0}, top = 0;
        bool here = __get_cpuid_count(flags[i].leaf, flags[i].sub, &r[AX], &r[BX], &r[CX], &r[DX]);
        if (flags[i].sub && flags[i].leaf == 7) here = here && __get_cpuid_count(7, 0, &top, &(unsigned){0}, &(unsigned){0}, &(unsigned){0}) && top >= 1;
        here = here && r[flags[i].word] >> flags[i].bit & 1;
        char name[32];
        snprintf(name, sizeof name, " %s ", flags[i].name);
        bool shown = strstr(line, name);
        if (shown ? !here : here && flags[i].always) failures++, printf("FAIL %s: shown %d, there %d\n", flags[i].name, shown, here);
    }
}
