// A program that lies where the guest kernel's jump table is in other address spaces (as large ones at fixed addresses do: node).
#define _GNU_SOURCE
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char big[2 << 20] = {1};
static void *count(void *n) { for (int i = 0; i < 100; i++) *(int *)n += getppid() > 0; return n; }

int main(int argc, char **argv) {
    const char *middle = (const char *)0x5100000;
    int n = 0, status;
    pthread_t thread;
    if (argc > 1) { printf("again %d\n", argc); return 0; }
    printf("inside %d %d\n", middle >= big && middle < big + sizeof big, *middle);
    pthread_create(&thread, 0, count, &n);
    pthread_join(thread, 0);
    printf("calls %d\n", n);
    fflush(stdout);
    status = system("i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo -n .; done; /bin/echo from a shell");
    printf("shell %d\n", status);
    fflush(stdout);
    if (!fork()) { execl("/proc/self/exe", "low", "x", (char *)0); _exit(9); }
    if (wait(&status) < 0 || status) printf("forked: status %x\n", status);
    pid_t pid;
    if ((n = posix_spawn(&pid, "/proc/self/exe", 0, 0, (char *[]){"low", "x", "y", 0}, (char *[]){0}))) printf("not spawned: %s\n", strerror(n));
    if (waitpid(pid, &status, 0) != pid || status) printf("spawned: status %x\n", status);
    fflush(stdout);
    execl("/bin/sh", "sh", "-c", "for i in 1 2 3; do echo $i | cat; done", (char *)0);
    return 1;
}
