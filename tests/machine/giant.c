// A mapping much larger than the machine, asked for with MAP_NORESERVE and used here and there: by the program, by system calls,
// by a child. With an argument: filled, which no machine of the tests can bear.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define GIB (1ul << 30)
#define MIB (1ul << 20)

int main(int argc, char **argv) {
    size_t size = 64 * GIB;
    char *p = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return 1;
    for (size_t i = 0; i < size; i += 4 * GIB) p[i] = i / GIB;
    for (size_t i = 0; i < size; i += 4 * GIB) if (p[i] != (char)(i / GIB)) return 2;
    if (argc > 1) for (size_t i = 0; i < size; i += 4096) p[i] = 1;
    int fd[2], status;
    if (pipe(fd) || write(fd[1], "hello", 5) != 5) return 3;
    printf("read %ld", (long)read(fd[0], p + 9 * MIB, 5));
    printf(" %.5s\n", p + 9 * MIB);
    int zero = open("/dev/zero", O_RDONLY);
    printf("read %ld, link %ld, path %d\n", (long)read(zero, p + 33 * MIB, 5 * MIB), (long)readlink("/proc/self/exe", p + 99 * MIB, 1), chdir(p + 500 * MIB));
    mprotect(p + GIB, GIB, PROT_READ);
    printf("read-only %d\n", p[GIB + 5]);
    if (!fork()) { p[3 * GIB] = 7; _exit(p[3 * GIB] + p[4 * GIB]); }
    wait(&status);
    printf("child %d, here %d\n", WEXITSTATUS(status), p[3 * GIB]);
    char *q = mremap(p + 9 * GIB, GIB, 2 * GIB, MREMAP_MAYMOVE);
    if (q == MAP_FAILED) return 4;
    q[2 * GIB - 1] = 3;
    printf("moved %d\n", q[2 * GIB - 1]);
    printf("unmapped %d\n", munmap(q, 2 * GIB) + munmap(p, size));
    if (fork() == 0) { *(volatile char *)p = 1; _exit(0); }
    wait(&status);
    printf("signal %d\n", WTERMSIG(status));
    return 0;
}
